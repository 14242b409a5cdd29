INSERT INTO endpoint_secret (key, endpoint, sealed, expires_at) VALUES ($1, $2, $3, NULL)
