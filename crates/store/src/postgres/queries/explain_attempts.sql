SELECT endpoint, count(*) FILTER (WHERE outcome <> 5), max(key), bool_or(outcome = 0) FROM attempt
WHERE shard = $1 AND message = $2
GROUP BY endpoint
