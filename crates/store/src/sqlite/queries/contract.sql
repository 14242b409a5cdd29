SELECT key, name, validation, ordering_pointer, deliver_original, updated_at
FROM event_type WHERE environment = ?1 AND name = ?2
