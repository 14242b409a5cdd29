SELECT key, name, created_at
FROM environment
WHERE key > ?1 AND key < ?2
ORDER BY key {direction}
LIMIT ?3
