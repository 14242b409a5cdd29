SELECT key, nonce, environment, application, endpoint, kind, status, request, data, first, cursor, ends,
       created_at, updated_at
FROM task
WHERE environment = $1 AND key > $2 AND key < $3
  AND ($4 IS NULL OR status = $4) AND ($5 IS NULL OR kind = $5)
ORDER BY key {direction}
LIMIT $6
