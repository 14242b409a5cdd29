WITH gone AS (
  DELETE FROM consumer
  WHERE (endpoint, name) IN (SELECT endpoint, name FROM consumer WHERE seen_at <= $1 LIMIT $2)
  RETURNING 1
)
SELECT count(*) FROM gone
