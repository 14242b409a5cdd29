INSERT INTO event_type_conversion (key, environment, event_type, ordinal, program, created_at)
VALUES ($1, $2, $3, $4::int8::int4, $5, $6)
