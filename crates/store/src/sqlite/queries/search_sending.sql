EXISTS (
  SELECT 1 FROM ({open}) AS o
  WHERE o.deleted_at IS NULL AND (
    SELECT max(a.outcome IN (0, 5)) = 0 FROM attempt AS a
    WHERE a.message = m.key AND a.endpoint = o.endpoint
  )
)
