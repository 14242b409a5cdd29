SELECT key FROM application
WHERE environment = $1 AND uid = $2 AND deleted_at IS NULL
