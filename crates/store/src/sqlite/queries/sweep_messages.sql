SELECT key, expires_at <= ?2 FROM message WHERE key > ?1 ORDER BY key LIMIT ?3
