DELETE FROM callback WHERE key = ANY ($1)
