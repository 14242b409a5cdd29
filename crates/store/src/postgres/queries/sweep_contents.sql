-- What is in the default partition: content that was to expire on a day without one, and what was
-- spared because it was pending. The keys of a message's deliveries follow its own within a
-- millisecond's worth of keys.
WITH expired AS (
  SELECT c.shard, c.message, c.expires_at
  FROM (
    SELECT shard, message, expires_at FROM content_default
    WHERE expires_at <= $1 ORDER BY expires_at LIMIT 20000
  ) AS c
  WHERE NOT EXISTS (
    SELECT FROM delivery AS d
    WHERE d.shard = c.shard AND d.key > c.message AND d.key <= c.message + (1 << 20)
      AND d.message = c.message
  ) AND NOT EXISTS (
    SELECT FROM delivery AS d
    WHERE d.shard = c.shard AND d.message = c.message AND d.trigger = 1
  )
  LIMIT $2
), gone AS (
  DELETE FROM content_default AS c USING expired AS e
  WHERE c.shard = e.shard AND c.message = e.message AND c.expires_at = e.expires_at
  RETURNING 1
)
SELECT count(*) FROM gone
