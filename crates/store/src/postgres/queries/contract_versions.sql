SELECT key, event_type, label, ordinal, status::int8, dialect::int8, schema, changelog, examples,
       deprecated_at, sunset_at, default_since, created_at, updated_at
FROM event_type_version WHERE event_type = $1 ORDER BY ordinal
