SELECT count(*) FROM endpoint_secret WHERE endpoint = $1
