SELECT shard::int8, source, key, environment, source, convert_to(headers, 'UTF8')
FROM request
WHERE fate <> 0 AND (shard, source, key) > ($1, $2, $3)
ORDER BY shard, source, key
LIMIT $4
