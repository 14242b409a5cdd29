SELECT coalesce(sum(pending), 0), min(oldest) FILTER (WHERE oldest < 4503599627370496) FROM (
  SELECT count(*) AS pending, min(due_at) AS oldest, endpoint FROM delivery GROUP BY endpoint
) AS waiting JOIN endpoint ON endpoint.key = waiting.endpoint
WHERE endpoint.state = ?1 AND endpoint.deleted_at IS NULL
