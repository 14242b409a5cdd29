SELECT key FROM attempt WHERE endpoint = ?1 AND key > ?2 AND key < ?3
ORDER BY key {direction} LIMIT 1 OFFSET ?4
