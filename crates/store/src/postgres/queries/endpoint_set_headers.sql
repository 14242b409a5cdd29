UPDATE endpoint SET headers = $3, updated_at = $4
WHERE key = $1 AND headers IS NOT DISTINCT FROM $2
