UPDATE endpoint_secret SET expires_at = least(expires_at, $2) WHERE endpoint = $1
