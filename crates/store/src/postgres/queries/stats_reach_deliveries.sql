SELECT due_at FROM delivery WHERE shard = $1 AND endpoint = $2 AND due_at >= $3 AND attempts >= 0
ORDER BY due_at DESC LIMIT 1 OFFSET $4
