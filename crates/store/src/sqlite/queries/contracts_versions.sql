SELECT key, event_type, label, ordinal, status, dialect, schema, changelog, examples, deprecated_at,
       sunset_at, default_since, created_at, updated_at
FROM event_type_version WHERE environment = ?1 ORDER BY event_type, ordinal
