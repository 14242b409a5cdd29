SELECT key FROM message
WHERE shard = $1 AND key = $2 AND nonce = $3 AND environment = $4 AND application = $5
