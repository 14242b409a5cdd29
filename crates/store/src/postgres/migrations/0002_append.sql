-- Appends messages: judges each by what it sees, and writes those that pass. The arrays are columns.
--
-- It is a function so that a server process plans it once and not for every batch; a statement
-- that is prepared by its client would do the same, but not behind a pooler.
CREATE FUNCTION append_1(
  int8[], int8[], int4[], int8[], int8[], int8[], int8[], int8[],
  int8[], int8[], text[], text[], text[], text[], text[], bytea[],
  bytea[], bytea[], int8[], int8[], int8[], int8[], int8[], int8[],
  int8
) RETURNS TABLE (stale boolean, first int8, same_body boolean, taken int8)
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH input AS (
    SELECT * FROM unnest(
      $1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
      $9::int8[], $10::int8[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
      $16::bytea[], $17::bytea[], $18::bytea[], $19::int8[], $20::int8[], $21::int8[]
    ) WITH ORDINALITY AS t (
      key, nonce, shard, environment, application, routed, origin, fanout, accepted_at, expires_at,
      event_type, event_id, channels, tags, content_type, payload, fingerprint, body, bucket, period,
      claimed_until, place
    )
  ), judged AS MATERIALIZED (
    SELECT i.*,
           NOT EXISTS (
             SELECT FROM application AS a
             WHERE a.key = i.application AND a.routed = i.routed AND a.deleted_at IS NULL
           ) AS stale,
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
    INSERT INTO content (expires_at, shard, message, payload)
    SELECT expires_at, shard, key, payload FROM fit
  ), claims AS (
    INSERT INTO claim (shard, bucket, fingerprint, key, body, expires_at)
    SELECT shard, bucket, fingerprint, key, body, claimed_until FROM fit
    WHERE fingerprint IS NOT NULL
  ), event_ids AS (
    INSERT INTO message_event_id (shard, application, event_id, message)
    SELECT shard, application, event_id, key FROM fit WHERE event_id IS NOT NULL
  ), deliveries AS (
    INSERT INTO delivery (
      shard, key, message, environment, application, endpoint, epoch, attempts, trigger, due_at
    )
    SELECT f.shard, d.key, f.key, f.environment, f.application, d.endpoint, $25, 0, 0, f.accepted_at
    FROM unnest($22::int8[], $23::int8[], $24::int8[]) AS d (key, message, endpoint)
      JOIN fit AS f ON f.key = d.message
  )
  SELECT stale, first, coalesce(same_body, false), taken FROM judged ORDER BY place;
END
$function$;
