SELECT key FROM environment WHERE name = $1
