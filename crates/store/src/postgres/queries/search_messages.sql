SELECT m.key, m.nonce, m.event_id, m.event_type, m.channels::text, m.tags::text, m.content_type,
       m.origin,
       CASE WHEN $6 THEN (
         SELECT payload FROM content
         WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
       ) END
FROM message AS m
WHERE m.shard = $1 AND m.application = $2 AND m.environment = $3 AND m.key > $4 AND m.key < $5
  AND ($7 IS NULL OR m.event_type = ANY ($7))
  AND ($8 IS NULL OR m.channels ? $8)
  AND ($9 IS NULL OR m.tags ? $9)
  AND {status}
ORDER BY m.key {direction}
LIMIT $10
