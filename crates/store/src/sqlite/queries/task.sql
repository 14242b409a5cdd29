SELECT key, nonce, environment, application, endpoint, kind, status, request, data, first, cursor, ends,
       created_at, updated_at
FROM task WHERE key = ?1
