DELETE FROM endpoint_secret WHERE endpoint = $1 AND expires_at <= $2
