SELECT s.sealed, s.expires_at, e.headers, e.credentials, e.transformation, e.access
FROM endpoint AS e LEFT JOIN endpoint_secret AS s ON s.endpoint = e.key
WHERE e.key = $1
ORDER BY s.key DESC
