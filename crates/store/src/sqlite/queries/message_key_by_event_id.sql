SELECT key FROM message WHERE application = ?3 AND event_id = ?1 AND environment = ?2
