INSERT INTO application (
  key, nonce, shard, environment, hidden, uid, name, metadata, created_at, updated_at
) VALUES (?1, 7, ?2, ?3, 0, ?4, 'Customer', '{}', ?1 >> 20, ?1 >> 20)
