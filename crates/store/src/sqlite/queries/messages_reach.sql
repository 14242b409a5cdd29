SELECT key FROM message WHERE application = ?1 AND key > ?2 AND key < ?3
ORDER BY key {direction} LIMIT 1 OFFSET ?4
