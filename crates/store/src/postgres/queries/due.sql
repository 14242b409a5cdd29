-- The running sum leaves out the row itself, so the page ends with the row that goes over. The
-- content is looked up row by row, because only then is its one partition looked into.
WITH page AS MATERIALIZED (
  SELECT d.shard, d.key, d.message, d.environment, d.application, d.endpoint, d.attempts,
         d.trigger, d.due_at, m.nonce, m.event_id, m.content_type, c.payload, c.headers,
         m.event_type, m.version, d.sequence, d.fixed
  FROM (
    SELECT * FROM delivery
    WHERE shard = (SELECT shard FROM endpoint WHERE key = $1) AND endpoint = $1 AND due_at <= $2
      AND attempts >= 0
    ORDER BY due_at, key
    LIMIT $3
  ) AS d
    JOIN message AS m ON m.shard = d.shard AND m.key = d.message
    LEFT JOIN LATERAL (
      SELECT payload, headers FROM content
      WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
      OFFSET 0
    ) AS c ON true
), sized AS (
  SELECT page.*, coalesce(sum(octet_length(payload)) OVER (
           ORDER BY due_at, key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
         ), 0) AS before
  FROM page
)
SELECT key, message, environment, application, endpoint, attempts, trigger, due_at, nonce,
       event_id, content_type, payload, headers, event_type, version, sequence, fixed
FROM sized
WHERE before <= $4
ORDER BY due_at, key
