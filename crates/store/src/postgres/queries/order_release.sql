-- Those that are due already are the first of their orders, and stay so: whatever is left behind them goes
-- when they are gone.
UPDATE delivery SET ordering_key = NULL, sequence = NULL, due_at = due_at - (1::int8 << 52)
WHERE shard = $1 AND key = ANY (ARRAY(
  SELECT key FROM delivery
  WHERE shard = $1 AND endpoint = $2 AND due_at >= 1::int8 << 52 AND due_at < 1::int8 << 53
    AND attempts >= 0
  LIMIT $3
))
