-- What waits for its turn goes on waiting (see ordering.rs).
UPDATE delivery SET due_at = $3
WHERE shard = $1 AND key = ANY ($2) AND due_at > $3
  AND due_at NOT BETWEEN 1::int8 << 52 AND (1::int8 << 53) - 1
RETURNING key
