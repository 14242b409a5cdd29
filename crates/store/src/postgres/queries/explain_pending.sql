SELECT endpoint, due_at, attempts FROM delivery
WHERE shard = $1 AND key > $2
  AND key <= $2 + (SELECT fanout FROM message WHERE shard = $1 AND key = $2) AND message = $2
