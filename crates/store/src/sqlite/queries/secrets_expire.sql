UPDATE endpoint_secret SET expires_at = min(coalesce(expires_at, ?2), ?2) WHERE endpoint = ?1
