SELECT key FROM request INDEXED BY {index}
WHERE source = ?1 AND key > ?2 AND key < ?3 AND {condition}
ORDER BY key {direction} LIMIT 1 OFFSET ?4
