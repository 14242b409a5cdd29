SELECT key FROM endpoint
WHERE application = $3 AND uid = $1 AND environment = $2 AND deleted_at IS NULL
