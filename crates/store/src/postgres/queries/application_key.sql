SELECT key FROM application
WHERE key = $1 AND nonce = $2 AND environment = $3 AND deleted_at IS NULL
