a.shard = $1 AND a.environment = $2 AND a.application = $3 AND a.key > $4 AND a.key < $5
  AND ($6 IS NULL OR a.message = $6)
  AND ($7 IS NULL OR a.endpoint = $7)
  AND ($8 IS NULL OR (a.outcome IN (0, 5)) = $8)
  AND ($9 IS NULL OR (a.outcome NOT IN (0, 5) AND (a.outcome = 1) = $9))
  AND ($10 IS NULL OR a.status_code BETWEEN $10 AND $11)
  AND ($12 IS NULL OR a.key = ANY ($12))
ORDER BY a.key {direction}
LIMIT $13
