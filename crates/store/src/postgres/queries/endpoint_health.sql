UPDATE endpoint SET failing_since = $4
WHERE key = $1 AND environment = $2 AND application = $3
