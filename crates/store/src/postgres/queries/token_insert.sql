INSERT INTO token (key, nonce, environment, hash, hint, name, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
