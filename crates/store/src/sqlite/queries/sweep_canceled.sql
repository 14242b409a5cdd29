-- Jumps from endpoint to endpoint through the due-index, however many deliveries each has.
WITH RECURSIVE waiting (endpoint) AS (
  SELECT min(endpoint) FROM delivery
  UNION ALL
  SELECT (SELECT min(d.endpoint) FROM delivery AS d WHERE d.endpoint > waiting.endpoint)
  FROM waiting WHERE waiting.endpoint IS NOT NULL
)
SELECT waiting.endpoint FROM waiting JOIN endpoint AS e ON e.key = waiting.endpoint
WHERE e.deleted_at IS NOT NULL
LIMIT ?1
