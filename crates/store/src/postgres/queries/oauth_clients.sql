WHERE environment = $1 AND {condition} AND key > $2 AND key < $3
  AND ($5 IS NULL OR provider = $5)
ORDER BY key {direction}
LIMIT $6
