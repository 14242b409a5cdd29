-- Records how attempts ended. The arrays are columns; returns the deliveries that it took effect on.
CREATE FUNCTION record_1(
  int4[], int8[], int8[], int8[], int8[], int8[], int8[], int8[],
  int8[], int8[], int8[], int8[], int8[], int8[], text[], int8[],
  bytea[], bytea[], int8[], bool[], int8
) RETURNS TABLE (delivery int8)
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH input AS MATERIALIZED (
    SELECT * FROM unnest(
      $1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
      $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::text[],
      $16::int8[], $17::bytea[], $18::bytea[], $19::int8[], $20::bool[]
    ) AS t (
      shard, key, nonce, environment, application, message, endpoint, revision, epoch, number,
      trigger, outcome, status_code, failed, reason, next_at, timings, response, delivery, moves
    )
  ), owned AS MATERIALIZED (
    -- Results of a process that another one has followed change nothing; nor do this process's own,
    -- once there is a later one.
    SELECT i.* FROM input AS i, node AS n WHERE i.epoch >= $21 AND n.epoch = $21
  ), settled AS (
    DELETE FROM delivery AS d USING owned AS o
    WHERE NOT o.moves AND d.shard = o.shard AND d.key = o.delivery AND d.epoch <= o.epoch
      AND d.environment = o.environment AND d.application = o.application
      AND d.message = o.message AND d.endpoint = o.endpoint
    RETURNING d.key
  ), moved AS (
    UPDATE delivery AS d SET attempts = o.number, due_at = o.next_at, epoch = o.epoch
    FROM owned AS o
    WHERE o.moves AND d.shard = o.shard AND d.key = o.delivery AND d.epoch <= o.epoch
      AND d.environment = o.environment AND d.application = o.application
      AND d.message = o.message AND d.endpoint = o.endpoint AND d.attempts = o.number - 1
    RETURNING d.key
  ), applied AS (
    SELECT key FROM settled UNION ALL SELECT key FROM moved
  ), attempts AS (
    INSERT INTO attempt (
      shard, key, nonce, environment, application, message, endpoint, revision, epoch, number,
      trigger, outcome, status_code, failed, reason, next_at, timings, response
    )
    SELECT i.shard, i.key, i.nonce, i.environment, i.application, i.message, i.endpoint, i.revision,
           i.epoch, i.number, i.trigger, i.outcome, i.status_code, i.failed, i.reason, i.next_at,
           i.timings, i.response
    FROM input AS i
    -- What was applied is in its scope, as its delivery was; the rest has to show it.
    WHERE i.delivery IN (SELECT key FROM applied) OR EXISTS (
      SELECT FROM message AS m
      WHERE m.shard = i.shard AND m.key = i.message
        AND m.environment = i.environment AND m.application = i.application
    )
    ON CONFLICT DO NOTHING
  )
  SELECT key FROM applied;
END
$function$;
