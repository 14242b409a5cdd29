SELECT min(due_at) FROM delivery
WHERE shard = (SELECT shard FROM endpoint WHERE key = $1) AND endpoint = $1 AND due_at > $2 AND attempts >= 0
