INSERT INTO consumer (endpoint, name, place, turn, created_at, seen_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (endpoint, name) DO UPDATE SET
  place = CASE turn WHEN excluded.turn THEN max(place, excluded.place) ELSE place END,
  seen_at = max(seen_at, excluded.seen_at)
RETURNING endpoint, name, place, turn, created_at, seen_at
