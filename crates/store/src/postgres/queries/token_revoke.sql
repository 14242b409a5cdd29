UPDATE token SET revoked_at = coalesce(revoked_at, $3) WHERE key = $1 AND nonce = $2
