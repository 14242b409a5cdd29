-- The messages of a page's attempts, but those that are filtered out. The bounds tell which
-- partitions matter before any is looked at.
SELECT found.key, found.nonce
FROM unnest($2::int8[]) AS page (key)
  CROSS JOIN LATERAL (
    SELECT key, nonce, event_type, channels, tags FROM message
    WHERE shard = $1 AND application = $3 AND key = page.key AND key >= $4 AND key <= $5
    OFFSET 0
  ) AS found
WHERE ($6 IS NULL OR found.event_type = ANY ($6))
  AND ($7 IS NULL OR found.channels ? $7)
  AND ($8 IS NULL OR found.tags ? $8)
