INSERT INTO application (
  key, nonce, shard, environment, hidden, uid, name, metadata, created_at, updated_at
)
SELECT key, 7, shard, $1, false, uid, 'Customer', '{}', key >> 20, key >> 20
FROM unnest($2::int8[], $3::int8[], $4::text[]) AS t (key, shard, uid)
