UPDATE token SET expires_at = $4
WHERE key IN (
  SELECT key FROM token
  WHERE application = $2 AND environment = $1 AND role = 4 AND revoked_at IS NULL
    AND expires_at > $4 AND ($3 IS NULL OR session = ANY ($3))
  LIMIT $5)
