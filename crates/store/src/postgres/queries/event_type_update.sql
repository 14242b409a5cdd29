UPDATE event_type SET
  description = $2, schemas = $3, archived = $4, deprecated = $5, feature_flag = $6,
  group_name = $7, updated_at = $8
WHERE key = $1
