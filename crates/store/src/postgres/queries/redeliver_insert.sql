INSERT INTO delivery (
  shard, key, message, environment, application, endpoint, epoch, attempts, trigger, due_at
)
SELECT $1, d.key, $4, $5, $6, d.endpoint, $7, 0, 1, $8
FROM unnest($2::int8[], $3::int8[]) AS d (key, endpoint)
