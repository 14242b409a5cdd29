SELECT key, environment, name, validation, ordering_pointer FROM event_type AS t
WHERE environment = ?1 AND key > ?2 AND (
  validation <> 0 OR ordering_pointer IS NOT NULL
  OR EXISTS (SELECT 1 FROM event_type_version AS v WHERE v.event_type = t.key)
)
ORDER BY key
LIMIT ?3
