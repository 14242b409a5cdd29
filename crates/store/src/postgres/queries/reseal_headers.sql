UPDATE request SET headers = convert_from($5, 'UTF8')
WHERE shard = $1 AND source = $2 AND key = $3 AND convert_to(headers, 'UTF8') = $4
