-- From the endpoints, each of which is looked up in the due-index: how many deliveries one of them
-- has does not matter.
SELECT e.key, d.due_at
FROM endpoint AS e CROSS JOIN LATERAL (
  SELECT delivery.due_at FROM delivery
  WHERE delivery.shard = e.shard AND delivery.endpoint = e.key
  ORDER BY delivery.due_at LIMIT 1
) AS d
WHERE e.key > $1
ORDER BY e.key
LIMIT $2
