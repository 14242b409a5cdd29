SELECT key, event_type, ordinal, program, created_at
FROM event_type_conversion WHERE event_type = $1 ORDER BY ordinal, key
