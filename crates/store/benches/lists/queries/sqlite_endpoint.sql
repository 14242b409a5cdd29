INSERT INTO endpoint (
  key, nonce, shard, environment, application, url, description, metadata, state, revision,
  created_at, updated_at
) VALUES (?1, 7, ?2, ?3, ?4, 'https://receiver.example/hook', '', '{}', 0, ?1, ?1 >> 20, ?1 >> 20)
