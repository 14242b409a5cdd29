INSERT INTO source_token (hash, source, expires_at) VALUES (?1, ?2, NULL)
ON CONFLICT (hash) DO NOTHING
