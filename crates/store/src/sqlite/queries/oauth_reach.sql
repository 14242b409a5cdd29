SELECT key FROM {table} INDEXED BY {table}_{index}
WHERE environment = ?1 AND {condition} AND key > ?2 AND key < ?3
ORDER BY key {direction} LIMIT 1 OFFSET ?5
