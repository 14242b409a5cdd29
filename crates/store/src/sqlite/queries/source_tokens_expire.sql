UPDATE source_token SET expires_at = min(coalesce(expires_at, ?2), ?2) WHERE source = ?1
