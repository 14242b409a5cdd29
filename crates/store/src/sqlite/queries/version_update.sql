UPDATE event_type_version SET
  label = ?2, status = ?3, dialect = ?4, schema = ?5, changelog = ?6, examples = ?7,
  deprecated_at = ?8, sunset_at = ?9, default_since = ?10, updated_at = ?11
WHERE key = ?1
