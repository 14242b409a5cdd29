EXISTS (
  SELECT FROM ({open}) AS o
  WHERE o.deleted_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM attempt AS a
    WHERE a.shard = $1 AND a.message = m.key AND {after} AND a.endpoint = o.endpoint AND a.outcome = 0
  )
)
