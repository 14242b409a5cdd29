SELECT key, nonce, name, description, schemas, archived, deprecated, feature_flag, group_name,
       created_at, updated_at
FROM event_type
WHERE environment = $1 AND ($2 IS NULL OR name COLLATE "C" > $2)
  AND ($3 IS NULL OR name COLLATE "C" < $3) AND ($4 OR NOT archived)
  AND ($6 IS NULL OR feature_flag IS NULL OR feature_flag = ANY ($6))
ORDER BY name COLLATE "C" {direction}
LIMIT $5
