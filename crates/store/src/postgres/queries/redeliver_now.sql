UPDATE delivery SET due_at = $3 WHERE shard = $1 AND key = ANY ($2) AND due_at > $3 RETURNING key
