-- Those that are due already are the first of their orders, and stay so: whatever is left behind them goes
-- when they are gone.
UPDATE delivery SET ordering_key = NULL, sequence = NULL, due_at = due_at - 4503599627370496
WHERE key IN (
  SELECT key FROM delivery
  WHERE endpoint = ?1 AND due_at >= 4503599627370496 AND due_at < 9007199254740992 LIMIT ?2
)
