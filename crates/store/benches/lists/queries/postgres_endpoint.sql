INSERT INTO endpoint (
  key, nonce, shard, environment, application, url, description, metadata, state, revision,
  created_at, updated_at
)
SELECT key, 7, shard, $1, application, 'https://receiver.example/hook', '', '{}', 0, key, key >> 20,
       key >> 20
FROM unnest($2::int8[], $3::int8[], $4::int8[]) AS t (key, shard, application)
