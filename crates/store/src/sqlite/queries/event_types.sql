SELECT key, nonce, name, description, schemas, archived, deprecated, feature_flag, group_name,
       created_at, updated_at
FROM event_type
WHERE environment = ?1 AND (?2 IS NULL OR name > ?2) AND (?3 IS NULL OR name < ?3)
  AND (?4 OR archived = 0)
  AND (?6 IS NULL OR feature_flag IS NULL OR feature_flag IN (SELECT value FROM json_each(?6)))
ORDER BY name {direction}
LIMIT ?5
