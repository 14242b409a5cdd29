SELECT key, event_type, ordinal, program, created_at
FROM event_type_conversion AS c
WHERE environment = $1 AND NOT EXISTS (
  SELECT 1 FROM event_type_conversion AS newer
  WHERE newer.event_type = c.event_type AND newer.ordinal = c.ordinal AND newer.key > c.key
)
ORDER BY event_type, ordinal
