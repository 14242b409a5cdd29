-- Records how attempts ended. The arrays are columns: those of `attempt_…` have an element for each
-- attempt, those of `health_…` one for each endpoint that begins or ends failing with one of them.
-- Returns the deliveries that it took effect on, or NULL if it took effect on all.
--
-- A function with settings of its own for the reasons that append_1 is one.
CREATE FUNCTION record_1(
  attempt_shard int4[], attempt_key int8[], attempt_nonce int8[], attempt_environment int8[],
  attempt_application int8[], attempt_message int8[], attempt_endpoint int8[],
  attempt_revision int8[], attempt_epoch int8[], attempt_number int4[], attempt_trigger int2[],
  attempt_outcome int2[], attempt_status_code int4[], attempt_failed int2[], attempt_reason text[],
  attempt_next_at int8[], attempt_timings bytea[], attempt_response bytea[],
  attempt_delivery int8[], attempt_moves boolean[],
  health_endpoint int8[], health_failing_since int8[], health_delivery int8[],
  moving int8, own_epoch int8
) RETURNS int8[]
LANGUAGE plpgsql
SET lock_timeout = '3s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
  settled int8[] := '{}';
  moved   int8[] := '{}';
  applied int8[];
BEGIN
  -- Results of a process that another one has followed change nothing; nor do this process's own,
  -- once there is a later one.
  IF (SELECT epoch FROM node WHERE only_one) = own_epoch THEN
    IF moving < cardinality(attempt_key) THEN
      WITH gone AS (
        DELETE FROM delivery AS d
        USING unnest(
          attempt_shard, attempt_delivery, attempt_environment, attempt_application, attempt_message,
          attempt_endpoint, attempt_epoch, attempt_moves
        ) AS o (shard, delivery, environment, application, message, endpoint, epoch, moves)
        WHERE NOT o.moves AND o.epoch >= own_epoch AND d.epoch <= o.epoch
          AND d.shard = o.shard AND d.key = o.delivery
          AND d.environment = o.environment AND d.application = o.application
          AND d.message = o.message AND d.endpoint = o.endpoint
        RETURNING d.key
      )
      SELECT coalesce(array_agg(key), '{}') INTO settled FROM gone;
    END IF;
    IF moving > 0 THEN
      WITH put_off AS (
        UPDATE delivery AS d SET attempts = o.number, due_at = o.next_at, epoch = o.epoch
        FROM unnest(
          attempt_shard, attempt_delivery, attempt_environment, attempt_application, attempt_message,
          attempt_endpoint, attempt_epoch, attempt_moves, attempt_number, attempt_next_at
        ) AS o (
          shard, delivery, environment, application, message, endpoint, epoch, moves, number, next_at
        )
        WHERE o.moves AND o.epoch >= own_epoch AND d.epoch <= o.epoch
          AND d.shard = o.shard AND d.key = o.delivery
          AND d.environment = o.environment AND d.application = o.application
          AND d.message = o.message AND d.endpoint = o.endpoint AND d.attempts = o.number - 1
        RETURNING d.key
      )
      SELECT coalesce(array_agg(key), '{}') INTO moved FROM put_off;
    END IF;
  END IF;
  IF cardinality(health_endpoint) > 0 THEN
    UPDATE endpoint AS e SET failing_since = h.failing_since
    FROM unnest(health_endpoint, health_failing_since, health_delivery)
      AS h (endpoint, failing_since, delivery)
    WHERE e.key = h.endpoint AND (h.delivery = ANY (settled) OR h.delivery = ANY (moved));
  END IF;
  IF cardinality(settled) + cardinality(moved) = cardinality(attempt_key) THEN
    -- All of them took effect, so none of them was written before.
    INSERT INTO attempt (
      shard, key, nonce, environment, application, message, endpoint, revision, epoch, number,
      trigger, outcome, status_code, failed, reason, next_at, timings, response
    )
    SELECT * FROM unnest(
      attempt_shard, attempt_key, attempt_nonce, attempt_environment, attempt_application,
      attempt_message, attempt_endpoint, attempt_revision, attempt_epoch, attempt_number,
      attempt_trigger, attempt_outcome, attempt_status_code, attempt_failed, attempt_reason,
      attempt_next_at, attempt_timings, attempt_response
    );
    RETURN NULL;
  END IF;
  applied := settled || moved;
  INSERT INTO attempt (
    shard, key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
    outcome, status_code, failed, reason, next_at, timings, response
  )
  SELECT shard, key, nonce, environment, application, message, endpoint, revision, epoch, number,
         trigger, outcome, status_code, failed, reason, next_at, timings, response
  FROM unnest(
    attempt_shard, attempt_key, attempt_nonce, attempt_environment, attempt_application,
    attempt_message, attempt_endpoint, attempt_revision, attempt_epoch, attempt_number,
    attempt_trigger, attempt_outcome, attempt_status_code, attempt_failed, attempt_reason,
    attempt_next_at, attempt_timings, attempt_response, attempt_delivery
  ) AS i (
    shard, key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
    outcome, status_code, failed, reason, next_at, timings, response, delivery
  )
  -- What was applied is in its scope, as its delivery was; the rest has to show it.
  WHERE i.delivery = ANY (applied) OR (
    SELECT m.key FROM message AS m
    WHERE m.shard = i.shard AND m.key = i.message
      AND m.environment = i.environment AND m.application = i.application
  ) IS NOT NULL
  ON CONFLICT DO NOTHING;
  RETURN applied;
END
$function$;
