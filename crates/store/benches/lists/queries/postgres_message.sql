WITH input AS (
  SELECT * FROM unnest(
    $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::text[], $8::text[], $9::text[],
    $10::bytea[]
  ) AS t (key, shard, application, fanout, expires_at, event_type, channels, tags, payload)
), contents AS (
  INSERT INTO content (expires_at, shard, message, payload)
  SELECT expires_at, shard, key, payload FROM input
)
INSERT INTO message (
  shard, key, nonce, environment, application, origin, fanout, routed, expires_at, event_type,
  channels, tags
)
SELECT shard, key, 7, $1, application, 0, fanout, key, expires_at, event_type, channels::jsonb,
       tags::jsonb
FROM input
