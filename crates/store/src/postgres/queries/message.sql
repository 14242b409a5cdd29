SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
       CASE WHEN $3 THEN (
         SELECT payload FROM content
         WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
       ) END
FROM message AS m WHERE shard = $1 AND key = $2
