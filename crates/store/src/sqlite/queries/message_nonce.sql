SELECT key, nonce FROM message WHERE key = ?1
