SELECT key FROM attempt WHERE shard = $1 AND endpoint = $2 AND key > $3 AND key < $4
ORDER BY key {direction} LIMIT 1 OFFSET $5
