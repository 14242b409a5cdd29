INSERT INTO application (
  key, nonce, shard, environment, hidden, uid, name, metadata, created_at, updated_at
) VALUES (?1, random(), 0, ?2, 1, ?3, ?4, '{}', ?5, ?5)
