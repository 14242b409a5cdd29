WITH gone AS (
  DELETE FROM token
  WHERE key IN (SELECT key FROM token WHERE role = 4 AND expires_at <= $1 LIMIT $2)
  RETURNING 1
)
SELECT count(*) FROM gone
