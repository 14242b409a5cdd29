SELECT count(*) FROM (
  SELECT 1 FROM endpoint CROSS JOIN delivery ON delivery.endpoint = endpoint.key
  WHERE endpoint.application = ?1 AND endpoint.environment = ?2 AND endpoint.deleted_at IS NULL
  LIMIT ?3
)
