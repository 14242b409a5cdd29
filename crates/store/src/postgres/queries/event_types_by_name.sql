SELECT key, nonce, name, description, schemas, archived, deprecated, feature_flag, group_name,
       created_at, updated_at
FROM event_type WHERE environment = $1 AND name COLLATE "C" = ANY ($2)
ORDER BY name COLLATE "C"
FOR UPDATE
