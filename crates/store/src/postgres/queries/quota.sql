SELECT key, environment, quota FROM application WHERE key = $1 AND deleted_at IS NULL
