SELECT t.key, t.nonce, t.environment, e.name, t.hint, t.name, t.created_at, t.expires_at,
       t.revoked_at
FROM token AS t JOIN environment AS e ON e.key = t.environment
ORDER BY t.key DESC
