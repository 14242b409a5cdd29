SELECT key, expires_at <= ?2 FROM claim WHERE key > ?1 ORDER BY key LIMIT ?3
