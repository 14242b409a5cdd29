SELECT key, environment, quota FROM application
WHERE quota IS NOT NULL AND deleted_at IS NULL AND key > $1
ORDER BY key
LIMIT $2
