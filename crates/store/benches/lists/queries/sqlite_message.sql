INSERT INTO message (
  key, nonce, shard, environment, application, origin, fanout, expires_at, event_type, channels,
  tags, payload
) VALUES (?1, 7, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10)
