SELECT key, nonce, environment, application, endpoint, kind, status, request, data, first, cursor, ends,
       created_at, updated_at
FROM task WHERE status = 0 AND key > $1
ORDER BY key
LIMIT $2
