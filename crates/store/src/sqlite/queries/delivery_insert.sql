INSERT INTO delivery (
  key, message, shard, environment, application, endpoint, epoch, attempts, trigger, due_at
) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, 0, ?7, ?8)
