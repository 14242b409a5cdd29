INSERT INTO listener (key, nonce, environment, name, terms, place, created_at, seen_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (environment, name) DO UPDATE SET terms = excluded.terms, seen_at = excluded.seen_at
RETURNING key, nonce, name, terms, place, created_at, seen_at
