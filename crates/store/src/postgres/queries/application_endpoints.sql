SELECT key FROM endpoint WHERE application = $1 AND deleted_at IS NULL ORDER BY key
