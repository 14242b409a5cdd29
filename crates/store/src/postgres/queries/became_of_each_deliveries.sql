SELECT d.message, d.endpoint, d.trigger, d.due_at
FROM looked AS m
  CROSS JOIN LATERAL (
    SELECT message, endpoint, trigger, due_at FROM delivery
    WHERE shard = $1 AND key > m.key AND key <= m.key + m.fanout AND key < $10 AND message = m.key
    UNION ALL
    SELECT message, endpoint, trigger, due_at FROM delivery
    WHERE shard = $1 AND message = m.key AND trigger = 1
    OFFSET 0
  ) AS d
