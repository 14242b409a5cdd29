SELECT key, environment, name, validation, ordering_pointer FROM event_type
WHERE environment = ?1 AND name = ?2
