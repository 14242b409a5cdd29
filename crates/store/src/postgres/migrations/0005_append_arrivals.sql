-- append_1 with what arrived at sources. The arrays of `arrival_…` and `message_headers` have an
-- element for each message, and may end before the others: where they do, nothing arrived. So they
-- are empty, and cost nothing, in a batch of messages that were sent.
--
-- A message that arrived is written with its request, under the same key. If its claim was made
-- before, the request alone is written, as a repetition of the first message.
--
-- Claims of what arrived hold for as long as their source says. Those that hold for more than a day
-- have buckets of several days, numbered by days from 2^40 on.
--
-- append_1 stays for processes that know only the version before; a later version drops it.
CREATE FUNCTION append_2(
  message_shard int4[], message_key int8[], message_nonce int8[], message_environment int8[],
  message_application int8[], message_origin int2[], message_fanout int4[], message_routed int8[],
  message_accepted_at int8[], message_expires_at int8[], message_event_type text[],
  message_event_id text[], message_channels text[], message_tags text[], message_content_type text[],
  message_payload bytea[], message_headers text[],
  arrival_source int8[], arrival_nonce int8[], arrival_verdict text[], arrival_reason text[],
  arrival_status int4[], arrival_method text[], arrival_target text[], arrival_address text[],
  arrival_event_id text[], arrival_bytes int8[],
  claim_fingerprint bytea[], claim_body bytea[], claim_bucket int8[], claim_period int8[],
  claim_until int8[],
  delivery_shard int4[], delivery_key int8[], delivery_message int8[], delivery_environment int8[],
  delivery_application int8[], delivery_endpoint int8[], delivery_due_at int8[],
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
        event_id, channels, tags, content_type
      )
      SELECT shard, key, nonce, environment, application, origin, fanout, routed, expires_at,
             event_type, event_id, channels::jsonb, tags::jsonb, content_type
      FROM unnest(
        message_shard, message_key, message_nonce, message_environment, message_application,
        message_origin, message_fanout, message_routed, message_expires_at, message_event_type,
        message_event_id, message_channels, message_tags, message_content_type
      ) AS t (
        shard, key, nonce, environment, application, origin, fanout, routed, expires_at, event_type,
        event_id, channels, tags, content_type
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
      INSERT INTO delivery (
        shard, key, message, environment, application, endpoint, due_at, epoch, attempts, trigger
      )
      SELECT t.*, epoch, 0, 0 FROM unnest(
        delivery_shard, delivery_key, delivery_message, delivery_environment, delivery_application,
        delivery_endpoint, delivery_due_at
      ) AS t;
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
      message_payload, message_headers, arrival_source, arrival_nonce, arrival_verdict,
      arrival_reason, arrival_status, arrival_method, arrival_target, arrival_address,
      arrival_event_id, arrival_bytes, claim_fingerprint, claim_body, claim_bucket, claim_period,
      claim_until
    ) WITH ORDINALITY AS t (
      shard, key, nonce, environment, application, origin, fanout, routed, accepted_at, expires_at,
      event_type, event_id, channels, tags, content_type, payload, headers, source, request_nonce,
      verdict, reason, status, method, target, address, request_event_id, bytes, fingerprint, body,
      bucket, period, claimed_until, place
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
      event_id, channels, tags, content_type
    )
    SELECT shard, key, nonce, environment, application, origin, fanout, routed, expires_at,
           event_type, event_id, channels::jsonb, tags::jsonb, content_type
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
      shard, key, message, environment, application, endpoint, due_at, epoch, attempts, trigger
    )
    SELECT d.*, epoch, 0, 0
    FROM unnest(
      delivery_shard, delivery_key, delivery_message, delivery_environment, delivery_application,
      delivery_endpoint, delivery_due_at
    ) AS d (shard, key, message, environment, application, endpoint, due_at)
    WHERE d.message IN (SELECT key FROM fit)
  )
  SELECT stale, first, coalesce(same_body, false), taken FROM judged ORDER BY place;
END
$function$;
