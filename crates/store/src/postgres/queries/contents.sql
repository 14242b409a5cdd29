-- What the messages of a page hold. The bounds tell which partitions matter before any is looked at.
SELECT page.message, found.payload, found.headers
FROM unnest($2::int8[], $3::int8[]) AS page (message, expires_at)
  CROSS JOIN LATERAL (
    SELECT payload, headers FROM content
    WHERE shard = $1 AND message = page.message AND expires_at = page.expires_at
      AND expires_at >= $4 AND expires_at <= $5
    OFFSET 0
  ) AS found
