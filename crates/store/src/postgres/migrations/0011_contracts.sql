-- What receivers get: how an endpoint wants its deliveries, versions of payloads, and deliveries that are
-- made one after the other (ADR 0022).

ALTER TABLE endpoint ADD COLUMN delivery text;             -- JSON, ringback_domain::delivery::Delivery
ALTER TABLE endpoint ADD COLUMN transformation bytea;      -- sealed
ALTER TABLE endpoint ADD COLUMN access bytea;              -- sealed
ALTER TABLE endpoint ADD COLUMN access_shown text;         -- JSON, what of it is no secret

ALTER TABLE message ADD COLUMN version int4;
ALTER TABLE message ADD COLUMN fits_schema boolean;
ALTER TABLE message ADD COLUMN ordering_key text;

ALTER TABLE delivery ADD COLUMN ordering_key text;         -- none where the endpoint keeps no order
ALTER TABLE delivery ADD COLUMN sequence int8;
ALTER TABLE delivery ADD COLUMN fixed bytea;
CREATE INDEX delivery_order ON delivery (shard, endpoint, ordering_key, sequence)
  WHERE ordering_key IS NOT NULL;

ALTER TABLE attempt ADD COLUMN rendering text;             -- JSON, ringback_domain::delivery::Rendering

ALTER TABLE event_type ADD COLUMN validation int2 NOT NULL DEFAULT 0;
ALTER TABLE event_type ADD COLUMN deliver_original boolean NOT NULL DEFAULT false;
ALTER TABLE event_type ADD COLUMN ordering_pointer text;   -- JSON Pointer

CREATE TABLE event_type_version (
  key           int8 PRIMARY KEY,
  environment   int8 NOT NULL,
  event_type    int8 NOT NULL,
  label         text NOT NULL,
  ordinal       int4 NOT NULL,
  status        int2 NOT NULL,
  dialect       int2 NOT NULL,
  schema        text NOT NULL,      -- JSON
  changelog     text NOT NULL,
  examples      text NOT NULL,      -- JSON
  deprecated_at int8,
  sunset_at     int8,
  default_since int8,
  created_at    int8 NOT NULL,
  updated_at    int8 NOT NULL
);
CREATE UNIQUE INDEX event_type_version_ordinal ON event_type_version (event_type, ordinal);
CREATE UNIQUE INDEX event_type_version_label ON event_type_version (event_type, label);

-- From a version to the one below it. The newest of an ordinal is in force; none is ever changed.
CREATE TABLE event_type_conversion (
  key         int8 PRIMARY KEY,
  environment int8 NOT NULL,
  event_type  int8 NOT NULL,
  ordinal     int4 NOT NULL,
  program     text NOT NULL,        -- JSON
  created_at  int8 NOT NULL
);
CREATE INDEX event_type_conversion_ordinal ON event_type_conversion (event_type, ordinal);

-- The endpoints that keep an order, each with a number that no sequence is greater than. Whoever adds to
-- what is pending at one, or deletes of it, holds its row until it commits: so nobody waits for a
-- delivery that is gone. Several are held in the order of their keys.
CREATE TABLE ordering (
  endpoint int8 PRIMARY KEY,
  last     int8 NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION order_hold(held int8[]) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off
AS $function$
BEGIN
  INSERT INTO ordering (endpoint, last)
  SELECT h.endpoint, 0 FROM unnest(held) AS h (endpoint)
  WHERE NOT EXISTS (SELECT FROM ordering AS o WHERE o.endpoint = h.endpoint)
  ORDER BY h.endpoint
  ON CONFLICT DO NOTHING;
  PERFORM FROM ordering AS o WHERE o.endpoint = ANY (held) ORDER BY o.endpoint FOR UPDATE;
END
$function$;

-- Lets the first delivery of each of these orders go. It waits 2^52 milliseconds behind the time at which
-- it would be due (src/ordering.rs).
CREATE FUNCTION order_go(shards int4[], endpoints int8[], ordering_keys text[]) RETURNS void
LANGUAGE sql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $function$
  UPDATE delivery AS d SET due_at = d.due_at - (1::int8 << 52)
  FROM (
    SELECT DISTINCT t.shard, t.endpoint, t.ordering_key
    FROM unnest(shards, endpoints, ordering_keys) AS t (shard, endpoint, ordering_key)
    WHERE t.ordering_key IS NOT NULL
  ) AS o CROSS JOIN LATERAL (
    SELECT n.shard, n.key FROM delivery AS n
    WHERE n.shard = o.shard AND n.endpoint = o.endpoint AND n.ordering_key = o.ordering_key
    ORDER BY n.sequence LIMIT 1
  ) AS first
  WHERE d.shard = first.shard AND d.key = first.key
    AND d.due_at >= 1::int8 << 52 AND d.due_at < 1::int8 << 53
$function$;

-- When a new delivery is due: one in an order waits until it is known to be the first.
CREATE FUNCTION order_wait(due_at int8, ordering_key text) RETURNS int8
LANGUAGE sql IMMUTABLE
AS $function$
  SELECT CASE WHEN ordering_key IS NULL THEN due_at ELSE due_at + (1::int8 << 52) END
$function$;

-- Its place: the key, unless somebody who took a greater one was quicker.
CREATE FUNCTION order_sequence(endpoint int8, ordering_key text, key int8, place int8) RETURNS int8
LANGUAGE sql STABLE
AS $function$
  SELECT CASE WHEN ordering_key IS NOT NULL THEN greatest(
    key, place + (SELECT o.last FROM ordering AS o WHERE o.endpoint = order_sequence.endpoint)
  ) END
$function$;

-- After new deliveries were written: those that are the first of their order go.
CREATE FUNCTION order_begin(
  ordered int8[], shards int4[], keys int8[], endpoints int8[], ordering_keys text[]
) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off
AS $function$
BEGIN
  PERFORM order_go(shards, endpoints, ordering_keys);
  UPDATE ordering AS o
  SET last = greatest(o.last + cardinality(keys), (SELECT max(k.key) FROM unnest(keys) AS k (key)))
  WHERE o.endpoint = ANY (ordered);
END
$function$;

-- Whatever deletes a delivery lets the next one of its order go. Those who delete many hold the rows of
-- their endpoints before.
CREATE FUNCTION order_next() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
  PERFORM order_hold(ARRAY[OLD.endpoint]);
  PERFORM order_go(ARRAY[OLD.shard], ARRAY[OLD.endpoint], ARRAY[OLD.ordering_key]);
  RETURN NULL;
END
$function$;
CREATE TRIGGER delivery_order AFTER DELETE ON delivery
FOR EACH ROW WHEN (OLD.ordering_key IS NOT NULL) EXECUTE FUNCTION order_next();

-- append_2 with versions of payloads and with orders. The arrays message_version, message_fits_schema,
-- message_ordering_key and delivery_ordering_key may end before the others; ordered_endpoint has the
-- endpoints of the batch that keep an order. In a batch without any of that they are empty, and cost
-- nothing.
--
-- append_2 stays for processes that know only the version before; a later version drops it.
CREATE FUNCTION append_3(
  message_shard int4[], message_key int8[], message_nonce int8[], message_environment int8[],
  message_application int8[], message_origin int2[], message_fanout int4[], message_routed int8[],
  message_accepted_at int8[], message_expires_at int8[], message_event_type text[],
  message_event_id text[], message_channels text[], message_tags text[], message_content_type text[],
  message_payload bytea[], message_headers text[],
  message_version int4[], message_fits_schema boolean[], message_ordering_key text[],
  arrival_source int8[], arrival_nonce int8[], arrival_verdict text[], arrival_reason text[],
  arrival_status int4[], arrival_method text[], arrival_target text[], arrival_address text[],
  arrival_event_id text[], arrival_bytes int8[],
  claim_fingerprint bytea[], claim_body bytea[], claim_bucket int8[], claim_period int8[],
  claim_until int8[],
  delivery_shard int4[], delivery_key int8[], delivery_message int8[], delivery_environment int8[],
  delivery_application int8[], delivery_endpoint int8[], delivery_due_at int8[],
  delivery_ordering_key text[], ordered_endpoint int8[],
  known_application int8[], known_routed int8[],
  claims boolean, event_ids boolean, epoch int8
) RETURNS TABLE (stale boolean, first int8, same_body boolean, taken int8)
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
  doubtful boolean;
BEGIN
  IF cardinality(ordered_endpoint) > 0 THEN
    PERFORM order_hold(ordered_endpoint);
  END IF;
  -- Most batches pass as they are: nothing has changed, and nothing is there twice.
  SELECT EXISTS (
    SELECT FROM unnest(known_application, known_routed) AS k (application, routed)
    WHERE NOT EXISTS (
      SELECT FROM application AS a
      WHERE a.key = k.application AND a.routed = k.routed AND a.deleted_at IS NULL
    )
  ) INTO doubtful;
  IF claims AND NOT doubtful THEN
    -- A claim that ends in the same bucket is found by writing this one.
    SELECT EXISTS (
      SELECT FROM unnest(message_shard, claim_bucket, claim_period, claim_fingerprint)
          AS i (shard, bucket, period, fingerprint)
        JOIN claim AS c
          ON c.shard = i.shard AND c.bucket = i.bucket - i.period AND c.fingerprint = i.fingerprint
    ) INTO doubtful;
  END IF;
  IF NOT doubtful THEN
    BEGIN
      INSERT INTO message (
        shard, key, nonce, environment, application, origin, fanout, routed, expires_at, event_type,
        event_id, channels, tags, content_type, version, fits_schema, ordering_key
      )
      SELECT shard, key, nonce, environment, application, origin, fanout, routed, expires_at,
             event_type, event_id, channels::jsonb, tags::jsonb, content_type, version, fits_schema,
             ordering_key
      FROM unnest(
        message_shard, message_key, message_nonce, message_environment, message_application,
        message_origin, message_fanout, message_routed, message_expires_at, message_event_type,
        message_event_id, message_channels, message_tags, message_content_type, message_version,
        message_fits_schema, message_ordering_key
      ) AS t (
        shard, key, nonce, environment, application, origin, fanout, routed, expires_at, event_type,
        event_id, channels, tags, content_type, version, fits_schema, ordering_key
      );
      INSERT INTO content (expires_at, shard, message, payload, headers)
      SELECT * FROM unnest(
        message_expires_at, message_shard, message_key, message_payload, message_headers
      );
      IF cardinality(arrival_source) > 0 THEN
        INSERT INTO request (
          shard, key, message, message_nonce, environment, application, event_type, expires_at,
          source, nonce, verdict, reason, status, method, target, address, event_id, bytes, fate
        )
        SELECT shard, key, key, message_nonce, environment, application, event_type, expires_at,
               source, nonce, verdict, reason, status, method, target, address, event_id, bytes, 0
        FROM unnest(
          message_shard, message_key, message_nonce, message_environment, message_application,
          message_event_type, message_expires_at, arrival_source, arrival_nonce, arrival_verdict,
          arrival_reason, arrival_status, arrival_method, arrival_target, arrival_address,
          arrival_event_id, arrival_bytes
        ) AS t (
          shard, key, message_nonce, environment, application, event_type, expires_at, source, nonce,
          verdict, reason, status, method, target, address, event_id, bytes
        )
        WHERE source IS NOT NULL;
      END IF;
      IF claims THEN
        INSERT INTO claim (shard, bucket, fingerprint, key, body, expires_at)
        SELECT * FROM unnest(
          message_shard, claim_bucket, claim_fingerprint, message_key, claim_body, claim_until
        ) AS t (shard, bucket, fingerprint, key, body, expires_at)
        WHERE fingerprint IS NOT NULL;
      END IF;
      IF event_ids THEN
        INSERT INTO message_event_id (shard, application, event_id, message)
        SELECT * FROM unnest(message_shard, message_application, message_event_id, message_key)
          AS t (shard, application, event_id, message)
        WHERE event_id IS NOT NULL;
      END IF;
      IF cardinality(ordered_endpoint) = 0 THEN
        INSERT INTO delivery (
          shard, key, message, environment, application, endpoint, due_at, epoch, attempts, trigger
        )
        SELECT t.*, epoch, 0, 0 FROM unnest(
          delivery_shard, delivery_key, delivery_message, delivery_environment, delivery_application,
          delivery_endpoint, delivery_due_at
        ) AS t;
        RETURN;
      END IF;
      INSERT INTO delivery (
        shard, key, message, environment, application, endpoint, due_at, epoch, attempts, trigger,
        ordering_key, sequence
      )
      SELECT d.shard, d.key, d.message, d.environment, d.application, d.endpoint,
             order_wait(d.due_at, d.ordering_key), epoch, 0, 0, d.ordering_key,
             order_sequence(d.endpoint, d.ordering_key, d.key, d.place)
      FROM unnest(
        delivery_shard, delivery_key, delivery_message, delivery_environment, delivery_application,
        delivery_endpoint, delivery_due_at, delivery_ordering_key
      ) WITH ORDINALITY AS d (
        shard, key, message, environment, application, endpoint, due_at, ordering_key, place
      );
      PERFORM order_begin(
        ordered_endpoint, delivery_shard, delivery_key, delivery_endpoint, delivery_ordering_key
      );
      RETURN;
    EXCEPTION WHEN unique_violation THEN
      -- Something is there twice: what was written here is taken back, and each judged for itself.
    END;
  END IF;

  -- A claim that holds for less than its bucket is long may be made anew in the same one.
  IF claims AND EXISTS (
    SELECT FROM unnest(message_accepted_at, claim_until, claim_bucket, claim_period)
      AS t (accepted_at, until, bucket, period)
    WHERE until - accepted_at < period * CASE WHEN bucket < 1::int8 << 40 THEN 3600000 ELSE 86400000 END
  ) THEN
    DELETE FROM claim AS c
    USING unnest(message_shard, claim_bucket, claim_fingerprint, message_accepted_at)
      AS i (shard, bucket, fingerprint, accepted_at)
    WHERE c.shard = i.shard AND c.bucket = i.bucket AND c.fingerprint = i.fingerprint
      AND c.expires_at <= i.accepted_at;
  END IF;

  RETURN QUERY
  WITH input AS (
    SELECT * FROM unnest(
      message_shard, message_key, message_nonce, message_environment, message_application,
      message_origin, message_fanout, message_routed, message_accepted_at, message_expires_at,
      message_event_type, message_event_id, message_channels, message_tags, message_content_type,
      message_payload, message_headers, message_version, message_fits_schema,
      message_ordering_key, arrival_source, arrival_nonce, arrival_verdict,
      arrival_reason, arrival_status, arrival_method, arrival_target, arrival_address,
      arrival_event_id, arrival_bytes, claim_fingerprint, claim_body, claim_bucket, claim_period,
      claim_until
    ) WITH ORDINALITY AS t (
      shard, key, nonce, environment, application, origin, fanout, routed, accepted_at, expires_at,
      event_type, event_id, channels, tags, content_type, payload, headers, version, fits_schema,
      ordering_key, source, request_nonce, verdict, reason, status, method, target, address,
      request_event_id, bytes, fingerprint, body, bucket, period, claimed_until, place
    )
  ), judged AS MATERIALIZED (
    SELECT i.*,
           (
             SELECT a.key FROM application AS a
             WHERE a.key = i.application AND a.routed = i.routed AND a.deleted_at IS NULL
           ) IS NULL AS stale,
           c.key AS first, c.body = i.body AS same_body, v.message AS taken
    FROM input AS i
      LEFT JOIN LATERAL (
        -- One bucket after the other: each is an equality, which the index and the choice of the
        -- partition can use.
        SELECT claim.key, claim.body FROM claim
        WHERE claim.shard = i.shard AND claim.bucket = i.bucket
          AND claim.fingerprint = i.fingerprint AND claim.expires_at > i.accepted_at
        UNION ALL
        SELECT claim.key, claim.body FROM claim
        WHERE claim.shard = i.shard AND claim.bucket = i.bucket - i.period
          AND claim.fingerprint = i.fingerprint AND claim.expires_at > i.accepted_at
        LIMIT 1
      ) AS c ON i.fingerprint IS NOT NULL
      LEFT JOIN message_event_id AS v
        ON v.shard = i.shard AND v.application = i.application AND v.event_id = i.event_id
  ), fit AS MATERIALIZED (
    SELECT * FROM judged WHERE NOT stale AND first IS NULL AND taken IS NULL
  ), messages AS (
    INSERT INTO message (
      shard, key, nonce, environment, application, origin, fanout, routed, expires_at, event_type,
      event_id, channels, tags, content_type, version, fits_schema, ordering_key
    )
    SELECT shard, key, nonce, environment, application, origin, fanout, routed, expires_at,
           event_type, event_id, channels::jsonb, tags::jsonb, content_type, version, fits_schema,
           ordering_key
    FROM fit
  ), contents AS (
    INSERT INTO content (expires_at, shard, message, payload, headers)
    SELECT expires_at, shard, key, payload, headers FROM fit
  ), requests AS (
    -- A repetition keeps what it came with, under the key that its message would have had.
    INSERT INTO request (
      shard, key, environment, application, event_type, expires_at, source, nonce, verdict, reason,
      status, method, target, address, event_id, bytes, fate, message, message_nonce, headers, body
    )
    SELECT shard, key, environment, application, event_type, expires_at, source, request_nonce,
           verdict, reason, status, method, target, address, request_event_id, bytes,
           CASE WHEN first IS NULL THEN 0 ELSE 1 END, coalesce(first, key),
           CASE WHEN first IS NULL THEN nonce ELSE (
             SELECT m.nonce FROM message AS m WHERE m.shard = judged.shard AND m.key = first
           ) END,
           CASE WHEN first IS NOT NULL THEN headers END,
           CASE WHEN first IS NOT NULL THEN payload END
    FROM judged
    WHERE source IS NOT NULL AND (first IS NOT NULL OR NOT stale AND taken IS NULL)
  ), new_claims AS (
    INSERT INTO claim (shard, bucket, fingerprint, key, body, expires_at)
    SELECT shard, bucket, fingerprint, key, body, claimed_until FROM fit
    WHERE fingerprint IS NOT NULL
  ), new_event_ids AS (
    INSERT INTO message_event_id (shard, application, event_id, message)
    SELECT shard, application, event_id, key FROM fit WHERE event_id IS NOT NULL
  ), deliveries AS (
    INSERT INTO delivery (
      shard, key, message, environment, application, endpoint, due_at, epoch, attempts, trigger,
      ordering_key, sequence
    )
    SELECT d.shard, d.key, d.message, d.environment, d.application, d.endpoint,
           order_wait(d.due_at, d.ordering_key), epoch, 0, 0, d.ordering_key,
           order_sequence(d.endpoint, d.ordering_key, d.key, d.place)
    FROM unnest(
      delivery_shard, delivery_key, delivery_message, delivery_environment, delivery_application,
      delivery_endpoint, delivery_due_at, delivery_ordering_key
    ) WITH ORDINALITY AS d (
      shard, key, message, environment, application, endpoint, due_at, ordering_key, place
    )
    WHERE d.message IN (SELECT key FROM fit)
  )
  SELECT stale, first, coalesce(same_body, false), taken FROM judged ORDER BY place;
  IF cardinality(ordered_endpoint) > 0 THEN
    PERFORM order_begin(
      ordered_endpoint, delivery_shard, delivery_key, delivery_endpoint, delivery_ordering_key
    );
  END IF;
END
$function$;

-- record_1 with what was sent, what later attempts have to send, and the endpoints of the batch that keep
-- an order; where there is none of that, the arrays are empty.
--
-- record_1 stays for processes that know only the version before; a later version drops it.
CREATE FUNCTION record_2(
  attempt_shard int4[], attempt_key int8[], attempt_nonce int8[], attempt_environment int8[],
  attempt_application int8[], attempt_message int8[], attempt_endpoint int8[],
  attempt_revision int8[], attempt_epoch int8[], attempt_number int4[], attempt_trigger int2[],
  attempt_outcome int2[], attempt_status_code int4[], attempt_failed int2[], attempt_reason text[],
  attempt_next_at int8[], attempt_timings bytea[], attempt_response bytea[],
  attempt_delivery int8[], attempt_moves boolean[],
  attempt_rendering text[], attempt_fix bytea[], ordered_endpoint int8[],
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
  IF cardinality(ordered_endpoint) > 0 THEN
    PERFORM order_hold(ordered_endpoint);
  END IF;
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
        -- One that moves and is not tried again blocks its order: 2^53 milliseconds, never by itself.
        UPDATE delivery AS d SET
          attempts = o.number, due_at = coalesce(o.next_at, d.due_at + (1::int8 << 53)),
          epoch = o.epoch, fixed = coalesce(o.fix, d.fixed)
        FROM unnest(
          attempt_shard, attempt_delivery, attempt_environment, attempt_application, attempt_message,
          attempt_endpoint, attempt_epoch, attempt_moves, attempt_number, attempt_next_at, attempt_fix
        ) AS o (
          shard, delivery, environment, application, message, endpoint, epoch, moves, number, next_at,
          fix
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
      trigger, outcome, status_code, failed, reason, next_at, timings, response, rendering
    )
    SELECT * FROM unnest(
      attempt_shard, attempt_key, attempt_nonce, attempt_environment, attempt_application,
      attempt_message, attempt_endpoint, attempt_revision, attempt_epoch, attempt_number,
      attempt_trigger, attempt_outcome, attempt_status_code, attempt_failed, attempt_reason,
      attempt_next_at, attempt_timings, attempt_response, attempt_rendering
    );
    RETURN NULL;
  END IF;
  applied := settled || moved;
  INSERT INTO attempt (
    shard, key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
    outcome, status_code, failed, reason, next_at, timings, response, rendering
  )
  SELECT shard, key, nonce, environment, application, message, endpoint, revision, epoch, number,
         trigger, outcome, status_code, failed, reason, next_at, timings, response, rendering
  FROM unnest(
    attempt_shard, attempt_key, attempt_nonce, attempt_environment, attempt_application,
    attempt_message, attempt_endpoint, attempt_revision, attempt_epoch, attempt_number,
    attempt_trigger, attempt_outcome, attempt_status_code, attempt_failed, attempt_reason,
    attempt_next_at, attempt_timings, attempt_response, attempt_delivery, attempt_rendering
  ) AS i (
    shard, key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
    outcome, status_code, failed, reason, next_at, timings, response, delivery, rendering
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
