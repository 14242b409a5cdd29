INSERT INTO message (
  key, nonce, shard, environment, application, origin, fanout, expires_at, event_type, event_id,
  channels, tags, content_type, headers, payload, version, fits_schema, ordering_key
) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
