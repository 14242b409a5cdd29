SELECT EXISTS (
  SELECT 1 FROM application WHERE key = $1 AND environment = $2 AND deleted_at IS NULL
)
