SELECT d.key, d.message, d.environment, d.application, d.endpoint, d.attempts, d.trigger, d.due_at,
       m.nonce, m.event_id, m.content_type, (
         SELECT c.payload FROM content AS c
         WHERE c.shard = m.shard AND c.message = m.key AND c.expires_at = m.expires_at
       )
FROM delivery AS d JOIN message AS m ON m.shard = d.shard AND m.key = d.message
WHERE d.shard = $1 AND d.key = $2
