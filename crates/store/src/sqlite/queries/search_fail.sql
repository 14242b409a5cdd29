EXISTS (
  SELECT 1 FROM attempt AS a WHERE a.message = m.key GROUP BY a.endpoint
  HAVING max(a.outcome IN (0, 5)) = 0
    AND NOT EXISTS (SELECT 1 FROM ({open}) AS o WHERE o.endpoint = a.endpoint)
)
