DELETE FROM event_type WHERE key = $1
