INSERT INTO consumer (endpoint, name, place, turn, created_at, seen_at)
VALUES (?1, ?2, ?3, 1, ?4, ?4)
ON CONFLICT (endpoint, name) DO UPDATE SET
  place = excluded.place, turn = turn + 1, seen_at = max(seen_at, excluded.seen_at)
RETURNING endpoint, name, place, turn, created_at, seen_at
