-- How many there are, up to a bound; and the first, which may be one that is not counted any more.
SELECT (
  SELECT count(*) FROM (
    SELECT FROM unnest($1::int4[], $2::int8[]) AS page (shard, application)
      CROSS JOIN LATERAL (
        SELECT FROM message
        WHERE shard = page.shard AND application = page.application AND environment = $3
          AND key > $4
        ORDER BY key
        LIMIT $5
      ) AS next
    LIMIT $5
  ) AS counted
), (
  SELECT min(next.key) FROM unnest($1::int4[], $2::int8[]) AS page (shard, application)
    CROSS JOIN LATERAL (
      SELECT key FROM message
      WHERE shard = page.shard AND application = page.application AND environment = $3 AND key > $4
      ORDER BY key
      LIMIT 1
    ) AS next
)
