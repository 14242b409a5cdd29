EXISTS (
  SELECT 1 FROM ({open}) AS o
  WHERE o.deleted_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM attempt AS a
    WHERE a.message = m.key AND a.endpoint = o.endpoint AND a.outcome IN (0, 5)
  )
)
