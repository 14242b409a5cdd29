-- What became no message goes on time; what became one goes with it, which here is with its partition
-- unless it has none.
WITH expired AS (
  SELECT shard, source, key FROM (
    (SELECT shard, source, key FROM request WHERE fate <> 0 AND expires_at <= $1 LIMIT $2)
    UNION ALL
    (
      SELECT shard, source, key FROM request_default AS r
      WHERE fate = 0 AND expires_at <= $1 AND NOT EXISTS (
        SELECT FROM message AS m WHERE m.shard = r.shard AND m.key = r.message
      )
      LIMIT $2
    )
  ) AS either
  LIMIT $2
), gone AS (
  DELETE FROM request AS r USING expired AS e
  WHERE r.shard = e.shard AND r.source = e.source AND r.key = e.key
  RETURNING 1
)
SELECT count(*) FROM gone
