SELECT key, nonce FROM message WHERE shard = $1 AND key = $2
