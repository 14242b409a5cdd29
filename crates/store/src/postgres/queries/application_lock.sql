SELECT key FROM application WHERE key = $1 AND environment = $2 FOR UPDATE
