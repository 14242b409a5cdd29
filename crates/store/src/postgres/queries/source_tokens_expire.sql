UPDATE source_token SET expires_at = least(expires_at, $2) WHERE source = $1
