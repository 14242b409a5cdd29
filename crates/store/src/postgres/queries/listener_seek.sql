UPDATE listener SET place = $2, seen_at = $3 WHERE key = $1
RETURNING key, nonce, name, terms, place, created_at, seen_at
