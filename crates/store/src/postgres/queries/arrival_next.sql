-- The next messages of each application, a bounded number of each. The bounds tell which partitions
-- matter before any is looked at.
SELECT next.*
FROM unnest($1::int4[], $2::int8[]) AS page (shard, application)
  CROSS JOIN LATERAL (
    SELECT key, nonce, shard, application, event_type, event_id, content_type, expires_at,
           channels::text, tags::text, version
    FROM message
    WHERE shard = page.shard AND application = page.application AND environment = $3
      AND key >= $4 AND key <= $5
    ORDER BY key
    LIMIT $6
  ) AS next
ORDER BY next.key
