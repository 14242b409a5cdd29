UPDATE application SET deleted_at = $2, updated_at = $2 WHERE key = $1
