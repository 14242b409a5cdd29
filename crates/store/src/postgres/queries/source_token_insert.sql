INSERT INTO source_token (hash, source) VALUES ($1, $2)
