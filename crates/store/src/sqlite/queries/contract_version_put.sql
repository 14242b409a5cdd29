-- A key that another event type has is no reason to change what that promised.
INSERT INTO event_type_version (
  key, environment, event_type, label, ordinal, status, dialect, schema, changelog, examples,
  deprecated_at, sunset_at, default_since, created_at, updated_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT (key) DO UPDATE SET
  label = excluded.label, status = excluded.status, dialect = excluded.dialect,
  schema = excluded.schema, changelog = excluded.changelog, examples = excluded.examples,
  deprecated_at = excluded.deprecated_at, sunset_at = excluded.sunset_at,
  default_since = excluded.default_since, updated_at = excluded.updated_at
WHERE event_type_version.event_type = excluded.event_type
