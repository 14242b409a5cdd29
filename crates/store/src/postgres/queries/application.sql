SELECT key, nonce, uid, name, metadata, throttle_rate, created_at, updated_at
FROM application WHERE key = $1
