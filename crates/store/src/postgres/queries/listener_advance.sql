-- Locked in one order, whoever else does the same.
WITH locked AS (
  SELECT l.key, n.place FROM listener AS l
    JOIN unnest($1::int8[], $2::int8[]) AS n (key, place) ON n.key = l.key
  ORDER BY l.key
  FOR UPDATE OF l
)
UPDATE listener AS l
SET place = greatest(l.place, locked.place), seen_at = greatest(l.seen_at, $3)
FROM locked WHERE l.key = locked.key
