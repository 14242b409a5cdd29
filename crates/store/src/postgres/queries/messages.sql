SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
       CASE WHEN $6 THEN (
         SELECT payload FROM content
         WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
       ) END
FROM message AS m
WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  AND ($7 IS NULL OR event_type = ANY ($7))
  AND ($8 IS NULL OR channels ? $8)
  AND ($9 IS NULL OR tags ? $9)
ORDER BY key {direction}
LIMIT $10
