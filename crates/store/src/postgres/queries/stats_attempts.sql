SELECT count(*) FILTER (WHERE outcome = 0), count(*) FILTER (WHERE outcome <> 0)
FROM attempt WHERE shard = $1 AND endpoint = $2 AND key >= $3 AND key < $4
