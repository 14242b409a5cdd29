SELECT key FROM callback
WHERE environment = $1 AND {condition} AND key > $2 AND key < $3
  AND ($4 IS NULL OR reference = $4)
  AND ($5 IS NULL OR application = $5)
ORDER BY key {direction} LIMIT 1 OFFSET $6
