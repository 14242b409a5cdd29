-- The bounds tell which partitions matter before any is looked at.
SELECT found.*
FROM unnest($4::int8[]) AS page (key)
  CROSS JOIN LATERAL (
    SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
           version, fits_schema, ordering_key, NULL::bytea, expires_at
    FROM message
    WHERE shard = $1 AND application = $2 AND environment = $3 AND key = page.key AND key >= $5
      AND key <= $6
    OFFSET 0
  ) AS found
ORDER BY found.key
