SELECT coalesce(sum(waiting.pending), 0)::int8, min(waiting.oldest) FILTER (
  WHERE waiting.oldest < 1::int8 << 52
)
FROM (
  SELECT endpoint, count(*) AS pending, min(due_at) AS oldest FROM delivery GROUP BY endpoint
) AS waiting JOIN endpoint ON endpoint.key = waiting.endpoint
WHERE endpoint.state = $1 AND endpoint.deleted_at IS NULL
