INSERT INTO event_type_conversion (key, environment, event_type, ordinal, program, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
