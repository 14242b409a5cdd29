SELECT key, nonce, name, terms, place, created_at, seen_at
FROM listener WHERE environment = $1 AND name = $2
