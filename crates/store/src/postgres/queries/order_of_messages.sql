-- The endpoints in whose orders the deliveries of these messages are.
SELECT DISTINCT d.endpoint
FROM message AS m
  JOIN delivery AS d
    ON d.shard = m.shard AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
WHERE m.shard = $1 AND m.key = ANY ($2) AND d.ordering_key IS NOT NULL
