UPDATE listener SET terms = $4, seen_at = $5
WHERE environment = $1 AND key = $2 AND nonce = $3
RETURNING key, nonce, name, terms, place, created_at, seen_at
