UPDATE task SET status = $3, data = $4, cursor = $5, updated_at = $6
WHERE key = $1 AND cursor = $2 AND status = 0
