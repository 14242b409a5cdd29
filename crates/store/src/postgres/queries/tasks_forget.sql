DELETE FROM task WHERE key IN (
  SELECT key FROM task WHERE status <> 0 AND updated_at < $1 ORDER BY key LIMIT $2
)
