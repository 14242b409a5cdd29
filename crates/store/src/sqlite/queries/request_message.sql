SELECT message, message_nonce FROM request WHERE key = ?1 AND source = ?2 AND environment = ?3
