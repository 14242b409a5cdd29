SELECT sealed, expires_at FROM endpoint_secret WHERE endpoint = ?1 ORDER BY key DESC
