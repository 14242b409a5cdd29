SELECT key, name, validation::int8, ordering_pointer, deliver_original, updated_at
FROM event_type WHERE environment = $1 AND name COLLATE "C" = $2
