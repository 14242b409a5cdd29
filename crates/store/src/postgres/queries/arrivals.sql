-- What messages hold, in the order in which they are asked for, as far as it fits: sizes are read
-- without what they are of. The bounds tell which partitions matter before any is looked at.
WITH page AS MATERIALIZED (
  SELECT page.*, found.bytes
  FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY
      AS page (shard, key, application, expires_at, place)
    LEFT JOIN LATERAL (
      SELECT octet_length(payload) AS bytes FROM content
      WHERE shard = page.shard AND message = page.key AND expires_at = page.expires_at
        AND expires_at >= $5 AND expires_at <= $6
      OFFSET 0
    ) AS found ON true
), weighed AS (
  SELECT page.*, sum(coalesce(bytes, 0)) OVER up_to_it AS weight, count(bytes) OVER up_to_it AS nth
  FROM page
  WINDOW up_to_it AS (ORDER BY place ROWS UNBOUNDED PRECEDING)
)
SELECT weighed.key, held.payload, held.headers, arrived.method, arrived.target, arrived.verdict,
       arrived.address, arrived.event_id
FROM weighed
  LEFT JOIN LATERAL (
    SELECT payload, headers FROM content
    WHERE shard = weighed.shard AND message = weighed.key AND expires_at = weighed.expires_at
      AND expires_at >= $5 AND expires_at <= $6
    OFFSET 0
  ) AS held ON true
  LEFT JOIN source AS owner ON owner.application = weighed.application
  LEFT JOIN LATERAL (
    -- The request with its key, or one that was kept and became it later.
    SELECT method, target, verdict, address, event_id FROM request
    WHERE shard = weighed.shard AND source = owner.key AND key = weighed.key
      AND key >= $7 AND key <= $8
    UNION ALL
    SELECT method, target, verdict, address, event_id FROM request
    WHERE shard = weighed.shard AND message = weighed.key AND message <> key AND fate = 0
      AND key <= $8 AND owner.key IS NOT NULL
    LIMIT 1
  ) AS arrived ON true
WHERE weight <= $9 OR nth <= 1
ORDER BY place
