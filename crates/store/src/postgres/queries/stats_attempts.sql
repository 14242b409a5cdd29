SELECT count(*) FILTER (WHERE outcome IN (0, 5)), count(*) FILTER (WHERE outcome NOT IN (0, 5))
FROM attempt WHERE shard = $1 AND endpoint = $2 AND key >= $3 AND key < $4
