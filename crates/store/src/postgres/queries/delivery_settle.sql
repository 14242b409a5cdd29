DELETE FROM delivery
WHERE shard = $1 AND key > $2
  AND key <= $2 + (SELECT fanout FROM message WHERE shard = $1 AND key = $2)
  AND message = $2 AND endpoint = $3 AND environment = $4 AND application = $5
RETURNING key
