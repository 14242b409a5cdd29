EXISTS (
  SELECT FROM attempt AS a WHERE a.shard = $1 AND a.message = m.key AND {after} GROUP BY a.endpoint
  HAVING NOT bool_or(a.outcome = 0)
    AND NOT EXISTS (SELECT FROM ({open}) AS o WHERE o.endpoint = a.endpoint)
)
