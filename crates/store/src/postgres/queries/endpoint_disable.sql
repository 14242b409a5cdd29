UPDATE endpoint SET state = $4, revision = $6, updated_at = $7
WHERE key = $1 AND environment = $2 AND application = $3 AND state = $5 AND revision = $8
  AND deleted_at IS NULL
