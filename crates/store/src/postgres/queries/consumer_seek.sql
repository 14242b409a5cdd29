INSERT INTO consumer (endpoint, name, place, turn, created_at, seen_at)
VALUES ($1, $2, $3, 1, $4, $4)
ON CONFLICT (endpoint, name) DO UPDATE SET
  place = excluded.place, turn = consumer.turn + 1,
  seen_at = greatest(consumer.seen_at, excluded.seen_at)
RETURNING consumer.endpoint, consumer.name, consumer.place, consumer.turn, consumer.created_at,
  consumer.seen_at
