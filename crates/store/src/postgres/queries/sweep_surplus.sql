-- Of a source's requests that became no messages, all but the newest of those that are held (5, 6) and
-- of the others: whoever sends many shall not fill the disk, nor push out what waits for its release.
-- Whatever is too much is so at once, so the time ($1) does not matter.
WITH surplus AS (
  SELECT old.shard, old.source, old.key
  FROM source AS s CROSS JOIN (VALUES (true), (false)) AS kind (held) CROSS JOIN LATERAL (
    SELECT shard, source, key FROM request
    WHERE shard = s.shard AND source = s.key AND fate <> 0 AND (fate IN (5, 6)) = kind.held
    ORDER BY key DESC OFFSET {kept} LIMIT $2
  ) AS old
  LIMIT $2
), gone AS (
  DELETE FROM request AS r USING surplus AS s
  WHERE r.shard = s.shard AND r.source = s.source AND r.key = s.key
  RETURNING 1
)
SELECT count(*) FROM gone
