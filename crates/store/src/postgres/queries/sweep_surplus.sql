-- Of a source's requests that became no messages, all but the newest of those that are held (5, 6) and
-- of the others: whoever sends many shall not fill the disk, nor push out what waits for its release.
WITH page AS (
  SELECT shard, key FROM source WHERE {page}
), surplus AS (
  SELECT old.shard, old.source, old.key
  FROM page CROSS JOIN (VALUES (true), (false)) AS kind (held) CROSS JOIN LATERAL (
    SELECT shard, source, key FROM request
    WHERE shard = page.shard AND source = page.key AND fate <> 0
      AND (fate IN (5, 6)) = kind.held
    ORDER BY key DESC OFFSET $2 LIMIT $3
  ) AS old
  LIMIT $3
), gone AS (
  DELETE FROM request AS r USING surplus AS s
  WHERE r.shard = s.shard AND r.source = s.source AND r.key = s.key
  RETURNING 1
)
SELECT (SELECT count(*) FROM gone), count(*), max(key) FROM page
