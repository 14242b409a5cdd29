-- What was tried is read for the whole page at once: a look-up for each message would go through the
-- partitions of every later day. The sums keep the deliveries from being looked up by their endpoint,
-- which may have a million.
WITH page AS MATERIALIZED (
  SELECT key, origin, event_type, channels, tags, fanout, expires_at FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  ORDER BY key
  LIMIT $8
), tried AS MATERIALIZED (
  SELECT message, bool_or(outcome IN (0, 5)) AS succeeded,
         (array_agg(status_code ORDER BY key DESC))[1] AS last_status_code
  FROM attempt
  WHERE shard = $1 AND endpoint = $6 AND message > $4 AND message <= (SELECT max(key) FROM page)
    AND key > (SELECT min(key) FROM page) - $7
  GROUP BY message
)
SELECT m.key, m.origin, m.event_type, m.channels::text, m.tags::text, content.message IS NOT NULL,
       tried.succeeded, tried.last_status_code, scheduled.due_at,
       EXISTS (
         SELECT FROM delivery AS d
         WHERE d.shard = $1 AND d.message = m.key AND d.trigger = 1 AND d.endpoint + 0 = $6
       )
FROM page AS m
  LEFT JOIN tried ON tried.message = m.key
  LEFT JOIN LATERAL (
    SELECT c.message FROM content AS c
    WHERE c.shard = $1 AND c.message = m.key AND c.expires_at = m.expires_at
      AND c.expires_at >= (SELECT min(expires_at) FROM page)
      AND c.expires_at <= (SELECT max(expires_at) FROM page)
    LIMIT 1
  ) AS content ON true
  LEFT JOIN LATERAL (
    SELECT d.due_at FROM delivery AS d
    WHERE d.shard = $1 AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
      AND d.endpoint + 0 = $6
    LIMIT 1
  ) AS scheduled ON true
ORDER BY m.key
