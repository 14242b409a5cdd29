WITH page AS MATERIALIZED (
  SELECT key, expires_at FROM message
  WHERE shard = $1 AND application = $2 AND environment = $3 AND key > $4 AND key < $5
  ORDER BY key
  LIMIT $6
)
SELECT m.key, EXISTS (
  SELECT FROM content AS c
  WHERE c.shard = $1 AND c.message = m.key AND c.expires_at = m.expires_at
)
FROM page AS m
ORDER BY m.key
