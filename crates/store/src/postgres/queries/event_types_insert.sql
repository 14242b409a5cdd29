-- In the order of their names, so that two imports wait for each other in the same order.
INSERT INTO event_type (
  key, nonce, environment, name, description, schemas, archived, deprecated, feature_flag,
  group_name, created_at, updated_at
)
SELECT new.key, new.nonce, $1, new.name, new.description, new.schemas, new.archived,
       new.deprecated, new.feature_flag, new.group_name, $2, $2
FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) AS new (
  key, nonce, name, description, schemas, archived, deprecated, feature_flag, group_name
)
ORDER BY new.name COLLATE "C"
ON CONFLICT (environment, name COLLATE "C") DO UPDATE SET
  description = excluded.description, schemas = excluded.schemas, archived = excluded.archived,
  deprecated = excluded.deprecated, feature_flag = excluded.feature_flag,
  group_name = excluded.group_name, updated_at = excluded.updated_at
