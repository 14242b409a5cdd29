SELECT key, nonce, event_id, event_type, channels, tags, content_type, origin,
       version, fits_schema, ordering_key, CASE WHEN ?2 THEN payload END, CASE WHEN ?2 THEN headers END
FROM message WHERE key = ?1
