SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
       version, fits_schema, ordering_key, c.payload, c.headers
FROM message AS m
  LEFT JOIN LATERAL (
    SELECT payload, headers FROM content
    WHERE shard = m.shard AND message = m.key AND expires_at = m.expires_at
    OFFSET 0
  ) AS c ON $3
WHERE m.shard = $1 AND m.key = $2
