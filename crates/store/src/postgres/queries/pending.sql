-- LATERAL, so that deliveries are always looked up by their endpoint, never all read.
SELECT count(*) FROM (
  SELECT 1 FROM endpoint CROSS JOIN LATERAL (
    SELECT 1 FROM delivery WHERE shard = $1 AND delivery.endpoint = endpoint.key
      AND attempts >= 0 LIMIT $4
  ) AS waiting
  WHERE endpoint.application = $2 AND endpoint.environment = $3 AND endpoint.deleted_at IS NULL
  LIMIT $4
) AS counted
