-- The hidden application, that of operational messages, has no quota.
SELECT count(*) FROM endpoint
WHERE application = $1 AND deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM application WHERE key = $1 AND hidden)
