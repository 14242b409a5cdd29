INSERT INTO application (
  key, nonce, shard, environment, hidden, uid, name, metadata, throttle_rate, created_at, updated_at
) VALUES ($1, $2, $3, $4, false, $5, $6, $7, $8, $9, $10)
