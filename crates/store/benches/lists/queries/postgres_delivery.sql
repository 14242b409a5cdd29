INSERT INTO delivery (
  shard, key, message, environment, application, endpoint, epoch, attempts, trigger, due_at
)
SELECT shard, key, message, $1, application, endpoint, 1, attempts, 0, due_at
FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[])
  AS t (shard, key, message, application, endpoint, attempts, due_at)
