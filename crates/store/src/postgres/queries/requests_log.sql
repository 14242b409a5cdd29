INSERT INTO request (
  shard, source, environment, application, key, nonce, fate, reason, verdict, status, method, target,
  headers, address, event_id, event_type, bytes, body, message, message_nonce, expires_at
)
SELECT s.shard, i.*
FROM unnest(
  $1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int2[], $7::text[], $8::text[],
  $9::int4[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
  $16::int8[], $17::bytea[], $18::int8[], $19::int8[], $20::int8[]
) AS i (
  source, environment, application, key, nonce, fate, reason, verdict, status, method, target, headers,
  address, event_id, event_type, bytes, body, message, message_nonce, expires_at
)
  JOIN source AS s
    ON s.key = i.source AND s.environment = i.environment AND s.application = i.application
RETURNING key
