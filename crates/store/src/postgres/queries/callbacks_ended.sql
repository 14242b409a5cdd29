SELECT key FROM callback WHERE state >= 2 AND due_at < $1 ORDER BY due_at LIMIT $2
