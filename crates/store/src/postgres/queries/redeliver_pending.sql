SELECT key, endpoint FROM delivery
WHERE shard = $1 AND key > $2
  AND key <= $2 + (SELECT fanout FROM message WHERE shard = $1 AND key = $2) AND message = $2
UNION ALL
SELECT key, endpoint FROM delivery WHERE shard = $1 AND message = $2 AND trigger = 1
