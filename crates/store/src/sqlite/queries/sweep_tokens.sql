DELETE FROM token
WHERE key IN (SELECT key FROM token WHERE role = 4 AND expires_at <= ?1 LIMIT ?2)
