INSERT INTO event_type (
  key, nonce, environment, name, description, schemas, archived, deprecated, feature_flag,
  group_name, created_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING
