UPDATE endpoint SET access = $3, access_shown = $4, updated_at = $5
WHERE key = $1 AND access IS NOT DISTINCT FROM $2
