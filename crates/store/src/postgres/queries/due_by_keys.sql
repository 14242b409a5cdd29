SELECT d.key, d.message, d.environment, d.application, d.endpoint, d.attempts, d.trigger, d.due_at,
       m.nonce, m.event_id, m.content_type, c.payload, c.headers, m.event_type, m.version, d.sequence,
       d.fixed
FROM delivery AS d
  JOIN message AS m ON m.shard = d.shard AND m.key = d.message
  LEFT JOIN LATERAL (
    SELECT payload, headers FROM content
    WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
    OFFSET 0
  ) AS c ON true
WHERE d.shard = $1 AND d.key = ANY ($2)
ORDER BY d.key
