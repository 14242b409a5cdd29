INSERT INTO attempt (
  shard, key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
  outcome, status_code, timings, response
)
SELECT shard, key, 7, $1, application, message, endpoint, endpoint, 1, number, trigger, outcome,
       status_code, '\x000000000000000000000000000000000000000000000000',
       convert_to('{"received": true, "trace": "0123456789abcdef0123456789abcdef"}', 'UTF8')
FROM unnest(
  $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[],
  $10::int8[]
) AS t (shard, key, application, message, endpoint, number, trigger, outcome, status_code)
ON CONFLICT DO NOTHING
