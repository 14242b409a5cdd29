SELECT 0, source, key, environment, source, CAST(headers AS BLOB)
FROM request INDEXED BY request_refused
WHERE fate <> 0 AND (source, key) > (?2, ?3)
ORDER BY source, key
LIMIT ?4
