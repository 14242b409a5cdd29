SELECT key, length(payload) FROM message INDEXED BY message_application
WHERE application = ?1 AND environment = ?2 AND key > ?3
ORDER BY key
LIMIT 1
