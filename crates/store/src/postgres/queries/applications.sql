SELECT key, nonce, uid, name, metadata, throttle_rate, created_at, updated_at
FROM application
WHERE environment = $1 AND deleted_at IS NULL AND NOT hidden AND key > $2 AND key < $3
ORDER BY key {direction}
LIMIT $4
