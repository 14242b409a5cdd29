INSERT INTO delivery (
  key, message, shard, environment, application, endpoint, epoch, attempts, trigger, due_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, 0, ?8)
