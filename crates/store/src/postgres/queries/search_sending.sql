EXISTS (
  SELECT FROM ({open}) AS o
  WHERE o.deleted_at IS NULL AND (
    SELECT NOT bool_or(a.outcome = 0) FROM attempt AS a
    WHERE a.shard = $1 AND a.message = m.key AND {after} AND a.endpoint = o.endpoint
  )
)
