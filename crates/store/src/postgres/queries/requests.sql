SELECT key, nonce, fate, reason, verdict, status, method, target, address, event_id, event_type, bytes,
       message, message_nonce, NULL::text, NULL::bytea
FROM request
WHERE shard = $1 AND source = $2 AND environment = $3 AND key > $4 AND key < $5 {refused}
  AND ($6 IS NULL OR fate = ANY ($6))
  AND ($7 IS NULL OR event_id = $7)
  AND ($8 IS NULL OR event_type = $8)
ORDER BY key {direction}
LIMIT $9
