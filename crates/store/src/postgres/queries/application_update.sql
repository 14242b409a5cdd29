-- A newer `routed`, so that nobody goes on with what the application was called before.
UPDATE application SET
  uid = $2, name = $3, metadata = $4, throttle_rate = $5, updated_at = $6,
  routed = greatest(routed, $7)
WHERE key = $1
