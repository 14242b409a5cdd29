SELECT key FROM endpoint WHERE key = ANY ($1) AND state = $2 ORDER BY key
