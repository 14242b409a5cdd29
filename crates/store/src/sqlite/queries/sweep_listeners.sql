DELETE FROM listener
WHERE key IN (SELECT key FROM listener WHERE seen_at <= ?1 LIMIT ?2)
