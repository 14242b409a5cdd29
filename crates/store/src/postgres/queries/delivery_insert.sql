INSERT INTO delivery (
  shard, key, message, environment, application, endpoint, epoch, attempts, trigger, due_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)
