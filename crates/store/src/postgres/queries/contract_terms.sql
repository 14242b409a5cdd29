UPDATE event_type SET validation = $2, ordering_pointer = $3, updated_at = $4 WHERE key = $1
