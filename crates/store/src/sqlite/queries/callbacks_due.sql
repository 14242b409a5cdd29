SELECT key, nonce FROM callback WHERE state <= 1 AND due_at <= ?1 ORDER BY due_at LIMIT ?2
