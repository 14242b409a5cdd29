SELECT key FROM request WHERE shard = $1 AND source = $2 AND key > $3 AND key < $4 {refused}
ORDER BY key {direction} LIMIT 1 OFFSET $5
