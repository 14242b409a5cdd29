SELECT key FROM endpoint
WHERE key = $1 AND nonce = $2 AND environment = $3 AND application = $4 AND deleted_at IS NULL
