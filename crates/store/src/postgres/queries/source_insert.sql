INSERT INTO source (
  key, nonce, shard, environment, application, uid, name, provider, config, settings, token,
  armed_until, metadata, created_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
