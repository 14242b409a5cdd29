SELECT key FROM message
WHERE key = ?1 AND nonce = ?2 AND environment = ?3 AND application = ?4
