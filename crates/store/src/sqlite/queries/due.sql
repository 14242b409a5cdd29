SELECT d.key, d.message, d.environment, d.application, d.endpoint, d.attempts, d.trigger, d.due_at,
       m.nonce, m.event_id, m.content_type, m.payload, m.headers,
       m.event_type, m.version, d.sequence, d.fixed
FROM delivery AS d CROSS JOIN message AS m ON m.key = d.message
WHERE d.endpoint = ?1 AND d.due_at <= ?2
ORDER BY d.due_at, d.key
LIMIT ?3
