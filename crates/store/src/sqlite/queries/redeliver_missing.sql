-- Endpoints to which attempts are made, that were tried in vain and at which nothing is open.
SELECT a.endpoint FROM attempt AS a CROSS JOIN endpoint AS e ON e.key = a.endpoint
WHERE a.message = ?1 AND e.state = ?2 AND e.deleted_at IS NULL
GROUP BY a.endpoint
HAVING max(a.outcome IN (0, 5)) = 0
  AND NOT EXISTS (
    SELECT 1 FROM delivery AS d
    WHERE d.key > ?1 AND d.key <= ?1 + (SELECT fanout FROM message WHERE key = ?1)
      AND +d.message = ?1 AND +d.endpoint = a.endpoint
  )
  AND NOT EXISTS (
    SELECT 1 FROM delivery AS d
    WHERE d.message = ?1 AND d.trigger = 1 AND +d.endpoint = a.endpoint
  )
