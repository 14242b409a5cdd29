INSERT INTO consumer (endpoint, name, place, turn, created_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (endpoint, name) DO UPDATE SET
  place = CASE consumer.turn
    WHEN excluded.turn THEN greatest(consumer.place, excluded.place) ELSE consumer.place
  END,
  seen_at = greatest(consumer.seen_at, excluded.seen_at)
RETURNING consumer.endpoint, consumer.name, consumer.place, consumer.turn, consumer.created_at,
  consumer.seen_at
