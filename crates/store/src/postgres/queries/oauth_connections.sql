WHERE environment = $1 AND {condition} AND key > $2 AND key < $3
  AND ($5 IS NULL OR application = $5)
  AND ($6 IS NULL OR client = $6)
  AND ($7 IS NULL OR provider = $7)
  AND ($8 IS NULL OR account = $8)
  AND ($9 IS NULL OR state = $9)
  AND ($10 IS NULL OR metadata::jsonb ->> $10 = $11)
ORDER BY key {direction}
LIMIT $12
