SELECT t.key, t.nonce, t.environment, e.name, t.hint, t.name, t.created_at, t.expires_at,
       t.revoked_at, t.role, t.application, a.nonce, t.capabilities, t.flags
FROM token AS t JOIN environment AS e ON e.key = t.environment
     LEFT JOIN application AS a ON a.key = t.application AND a.deleted_at IS NULL
WHERE t.hash = $1 AND (t.application IS NULL OR a.key IS NOT NULL)
