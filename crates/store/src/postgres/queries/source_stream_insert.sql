INSERT INTO source_stream (source, hash, sealed, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (hash) DO NOTHING
