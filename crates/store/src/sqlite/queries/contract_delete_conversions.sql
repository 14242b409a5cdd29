DELETE FROM event_type_conversion WHERE event_type = ?1
