DELETE FROM event_type_version WHERE event_type = $1
