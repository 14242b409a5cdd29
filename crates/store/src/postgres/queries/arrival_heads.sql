-- The next message of each application that has one, the oldest first.
SELECT next.key, page.shard, page.application
FROM unnest($1::int4[], $2::int8[]) AS page (shard, application)
  CROSS JOIN LATERAL (
    SELECT key FROM message
    WHERE shard = page.shard AND application = page.application AND environment = $3 AND key > $4
    ORDER BY key
    LIMIT 1
  ) AS next
ORDER BY next.key
