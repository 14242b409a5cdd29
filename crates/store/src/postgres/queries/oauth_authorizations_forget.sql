DELETE FROM oauth_authorization WHERE key IN (
  SELECT key FROM oauth_authorization WHERE stage >= 3 AND settled_at < $1 ORDER BY settled_at LIMIT $2
  FOR UPDATE SKIP LOCKED
)
