UPDATE endpoint SET access = $2 WHERE key = $1
