SELECT key, nonce, environment, application, event_type, event_id, content_type, payload, headers,
       channels, tags, version
FROM message WHERE key = ?1
