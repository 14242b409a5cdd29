SELECT count(*) FROM (
  SELECT FROM delivery WHERE shard = $1 AND endpoint = $2 AND due_at <= $3 AND attempts >= 0 LIMIT $4
) AS due
