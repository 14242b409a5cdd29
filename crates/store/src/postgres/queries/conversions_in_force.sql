SELECT key, environment, event_type, ordinal, program, created_at
FROM event_type_conversion AS c
WHERE event_type = $1 AND key = (
  SELECT max(n.key) FROM event_type_conversion AS n
  WHERE n.event_type = $1 AND n.ordinal = c.ordinal
)
ORDER BY ordinal
