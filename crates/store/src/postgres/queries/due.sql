-- The running sum leaves out the row itself, so the page ends with the row that goes over.
WITH page AS (
  SELECT d.shard, d.key, d.message, d.environment, d.application, d.endpoint, d.attempts,
         d.trigger, d.due_at
  FROM delivery AS d
  WHERE d.shard = (SELECT shard FROM endpoint WHERE key = $1) AND d.endpoint = $1
    AND d.due_at <= $2
  ORDER BY d.due_at, d.key
  LIMIT $3
), sized AS (
  SELECT p.*, coalesce(sum(octet_length(c.payload)) OVER (
           ORDER BY p.due_at, p.key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
         ), 0) AS before
  FROM page AS p
    JOIN message AS m ON m.shard = p.shard AND m.key = p.message
    LEFT JOIN content AS c
      ON c.shard = p.shard AND c.message = p.message AND c.expires_at = m.expires_at
)
SELECT s.key, s.message, s.environment, s.application, s.endpoint, s.attempts, s.trigger, s.due_at,
       m.nonce, m.event_id, m.content_type, c.payload
FROM sized AS s
  JOIN message AS m ON m.shard = s.shard AND m.key = s.message
  LEFT JOIN content AS c
    ON c.shard = s.shard AND c.message = s.message AND c.expires_at = m.expires_at
WHERE s.before <= $4
ORDER BY s.due_at, s.key
