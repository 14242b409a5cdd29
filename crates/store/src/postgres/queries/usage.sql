SELECT count(*), coalesce(sum(fanout), 0)::int8, max(key) FROM (
  SELECT key, fanout FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  ORDER BY key LIMIT $6
) AS step
