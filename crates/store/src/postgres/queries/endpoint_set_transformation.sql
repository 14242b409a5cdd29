UPDATE endpoint SET transformation = $3, updated_at = $4
WHERE key = $1 AND transformation IS NOT DISTINCT FROM $2
