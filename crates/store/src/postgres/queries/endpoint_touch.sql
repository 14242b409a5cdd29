UPDATE endpoint SET updated_at = $2 WHERE key = $1
