SELECT key, nonce FROM message WHERE application = ?1 AND event_id = ?2
