SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
       version, fits_schema, ordering_key, NULL::bytea, expires_at
FROM message
WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  AND ($6 IS NULL OR event_type = ANY ($6))
  AND ($7 IS NULL OR channels ? $7)
  AND ($8 IS NULL OR tags ? $8)
ORDER BY key {direction}
LIMIT $9
