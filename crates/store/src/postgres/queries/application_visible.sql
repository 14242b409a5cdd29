SELECT EXISTS (
  SELECT FROM application WHERE key = $1 AND NOT hidden AND deleted_at IS NULL
)
