DELETE FROM delivery
WHERE shard = $1 AND endpoint = $2 AND due_at >= 1::int8 << 53 AND attempts >= 0
