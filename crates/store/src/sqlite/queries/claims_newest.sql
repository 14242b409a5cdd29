SELECT key, fingerprint FROM claim
WHERE key >= coalesce((SELECT key FROM claim ORDER BY key DESC LIMIT 1 OFFSET ?1), 0)
ORDER BY key
