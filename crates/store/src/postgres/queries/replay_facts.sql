WITH page AS MATERIALIZED (
  SELECT shard, key, origin, event_type, channels, tags, fanout, expires_at FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  ORDER BY key
  LIMIT $8
)
SELECT m.key, m.origin, m.event_type, m.channels::text, m.tags::text,
       EXISTS (
         SELECT FROM content AS c
         WHERE c.shard = $1 AND c.message = m.key AND c.expires_at = m.expires_at
       ),
       tried.succeeded, tried.last_status_code, scheduled.due_at,
       EXISTS (
         SELECT FROM delivery AS d
         WHERE d.shard = $1 AND d.message = m.key AND d.trigger = 1 AND d.endpoint = $6
       )
FROM page AS m
  LEFT JOIN LATERAL (
    SELECT bool_or(a.outcome = 0) AS succeeded,
           (array_agg(a.status_code ORDER BY a.key DESC))[1] AS last_status_code
    FROM attempt AS a
    WHERE a.shard = $1 AND a.message = m.key AND a.endpoint = $6 AND a.key > m.key - $7
  ) AS tried ON true
  LEFT JOIN LATERAL (
    SELECT d.due_at FROM delivery AS d
    WHERE d.shard = $1 AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
      AND d.endpoint = $6
    LIMIT 1
  ) AS scheduled ON true
ORDER BY m.key
