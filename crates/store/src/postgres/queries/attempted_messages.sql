-- How far a message is follows from whether an attempt succeeded and from what is open, as
-- DeliveryStatus says; it is here as a number, so that a page can be searched for one.
-- The sums keep the deliveries from being looked up by their endpoint, which may have a million:
-- those of one message are few.
SELECT s.key, s.nonce, s.event_id, s.event_type, s.channels::text, s.tags::text, s.content_type,
       s.origin,
       CASE WHEN $6 THEN (
         SELECT payload FROM content
         WHERE shard = s.shard AND message = s.key AND expires_at = s.expires_at
       ) END,
       s.succeeded, s.due_at
FROM (
  SELECT m.*, a.succeeded, o.due_at,
         CASE
           WHEN a.succeeded THEN 0
           WHEN o.due_at IS NULL AND NOT a.succeeded THEN 2
           WHEN o.due_at IS NOT NULL AND NOT a.succeeded THEN 3
           WHEN o.due_at IS NOT NULL THEN 1
         END AS status
  FROM message AS m
    CROSS JOIN LATERAL (
      SELECT bool_or(outcome = 0) AS succeeded FROM attempt
      WHERE shard = $1 AND message = m.key AND endpoint = $10
        AND key > m.key - (3600000::int8 << 20)
    ) AS a
    CROSS JOIN LATERAL (
      SELECT coalesce(
        (SELECT d.due_at FROM delivery AS d
         WHERE d.shard = $1 AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
           AND d.endpoint + 0 = $10),
        (SELECT min(d.due_at) FROM delivery AS d
         WHERE d.shard = $1 AND d.message = m.key AND d.trigger = 1 AND d.endpoint + 0 = $10)
      ) AS due_at
    ) AS o
  WHERE m.shard = $1 AND m.application = $2 AND m.environment = $3 AND m.key > $4 AND m.key < $5
    AND ($7 IS NULL OR m.event_type = ANY ($7))
    AND ($8 IS NULL OR m.channels ? $8)
    AND ($9 IS NULL OR m.tags ? $9)
) AS s
WHERE s.status IS NOT NULL AND ($11 IS NULL OR s.status = $11)
ORDER BY s.key {direction}
LIMIT $12
