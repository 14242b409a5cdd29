-- Jumps through the due-index from one endpoint to the next: how many deliveries one of them has does
-- not matter, nor how many endpoints have none.
WITH RECURSIVE waiting AS (
  (
    SELECT shard, endpoint, due_at FROM delivery
    WHERE attempts >= 0 AND (shard, endpoint) > (
      coalesce((SELECT e.shard FROM endpoint AS e WHERE e.key = $1), -1), $1
    )
    ORDER BY shard, endpoint, due_at LIMIT 1
  )
  UNION ALL
  SELECT next.* FROM waiting AS w CROSS JOIN LATERAL (
    SELECT d.shard, d.endpoint, d.due_at FROM delivery AS d
    WHERE d.attempts >= 0 AND (d.shard, d.endpoint) > (w.shard, w.endpoint)
    ORDER BY d.shard, d.endpoint, d.due_at LIMIT 1
  ) AS next
)
SELECT endpoint, due_at FROM waiting
-- Where all wait for one that blocks their order, nothing is due (see ordering.rs).
WHERE due_at < 1::int8 << 52
LIMIT $2
