UPDATE oauth_client SET name = $2, auth = $3, settings = $4, scopes = $5, sealed = $6, updated_at = $7
WHERE key = $1
