SELECT d.key, d.message, d.environment, d.application, d.endpoint, d.attempts, d.trigger, d.due_at,
       m.nonce, m.event_id, m.content_type, c.payload
FROM delivery AS d
  JOIN message AS m ON m.shard = d.shard AND m.key = d.message
  LEFT JOIN content AS c
    ON c.shard = d.shard AND c.message = d.message AND c.expires_at = m.expires_at
WHERE d.shard = $1 AND d.key = $2
