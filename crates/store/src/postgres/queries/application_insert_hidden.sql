-- The nonce is a hash of random bits, as random() gives none of this size.
INSERT INTO application (
  key, nonce, shard, environment, hidden, uid, name, metadata, created_at, updated_at
) VALUES (
  $1, hashtextextended(gen_random_uuid()::text, 0), $2, $3, true, $4, $5, '{}', $6, $6
)
ON CONFLICT (key) DO NOTHING
