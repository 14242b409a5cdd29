-- Messages that have a status at one endpoint or more; it is worked out as DeliveryStatus says.
--
-- What was tried and what is open comes from became_of_*.sql.
WITH looked AS MATERIALIZED (
  SELECT * FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
    AND ($6 IS NULL OR event_type = ANY ($6))
    AND ($7 IS NULL OR channels ? $7)
    AND ($8 IS NULL OR tags ? $8)
), tried AS MATERIALIZED (
  SELECT message, endpoint, bool_or(outcome IN (0, 5)) AS succeeded FROM ({attempts}) AS attempts
  GROUP BY message, endpoint
), open AS MATERIALIZED (
  SELECT d.message, d.endpoint, e.deleted_at IS NOT NULL AS deleted
  FROM ({deliveries}) AS d
    JOIN endpoint AS e ON e.key = d.endpoint
), standing AS (
  SELECT message,
         CASE
           WHEN t.succeeded THEN 0
           WHEN o.deleted THEN 4
           WHEN t.succeeded IS NULL THEN 1
           WHEN o.deleted IS NULL THEN 2
           ELSE 3
         END AS status
  FROM tried AS t FULL JOIN open AS o USING (message, endpoint)
)
SELECT key, nonce, event_id, event_type, channels::text, tags::text, content_type, origin,
       version, fits_schema, ordering_key, NULL::bytea, expires_at
FROM looked
WHERE key IN (SELECT message FROM standing WHERE status = $11)
ORDER BY key {direction}
LIMIT $9
