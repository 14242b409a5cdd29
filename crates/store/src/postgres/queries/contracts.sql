SELECT key, name, validation::int8, ordering_pointer, deliver_original, updated_at
FROM event_type AS t
WHERE environment = $1 AND (
  validation <> 0 OR ordering_pointer IS NOT NULL OR deliver_original
  OR EXISTS (SELECT 1 FROM event_type_version AS v WHERE v.event_type = t.key)
)
