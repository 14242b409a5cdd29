-- How far a message is follows from whether an attempt succeeded and from what is open, as
-- DeliveryStatus says; it is here as a number, so that a page can be searched for one.
--
-- What was tried and what is open comes from became_of_*.sql.
WITH looked AS MATERIALIZED (
  SELECT * FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
    AND ($6 IS NULL OR event_type = ANY ($6))
    AND ($7 IS NULL OR channels ? $7)
    AND ($8 IS NULL OR tags ? $8)
), tried AS MATERIALIZED (
  SELECT message, bool_or(outcome IN (0, 5)) AS succeeded FROM ({attempts}) AS attempts
  WHERE endpoint = $11
  GROUP BY message
), open AS MATERIALIZED (
  SELECT message, coalesce(min(due_at) FILTER (WHERE trigger = 0), min(due_at)) AS due_at
  FROM ({deliveries}) AS deliveries
  WHERE endpoint + 0 = $11
  GROUP BY message
), standing AS (
  SELECT message, t.succeeded, o.due_at,
         CASE
           WHEN t.succeeded THEN 0
           WHEN t.succeeded IS NULL THEN 1
           WHEN o.due_at IS NULL THEN 2
           ELSE 3
         END AS status
  FROM tried AS t FULL JOIN open AS o USING (message)
)
SELECT m.key, m.nonce, m.event_id, m.event_type, m.channels::text, m.tags::text, m.content_type,
       m.origin, m.version, m.fits_schema, m.ordering_key, NULL::bytea, m.expires_at,
       s.succeeded, s.due_at
FROM looked AS m JOIN standing AS s ON s.message = m.key
WHERE $12 IS NULL OR s.status = $12
ORDER BY m.key {direction}
LIMIT $9
