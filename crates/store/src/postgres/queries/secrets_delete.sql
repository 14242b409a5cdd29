DELETE FROM endpoint_secret WHERE endpoint = $1
