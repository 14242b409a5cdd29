SELECT d.endpoint + 0 AS endpoint, e.deleted_at FROM delivery AS d JOIN endpoint AS e ON e.key = d.endpoint
WHERE d.shard = $1 AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
UNION ALL
SELECT d.endpoint + 0 AS endpoint, e.deleted_at FROM delivery AS d JOIN endpoint AS e ON e.key = d.endpoint
WHERE d.shard = $1 AND d.message = m.key AND d.trigger = 1
