UPDATE endpoint SET
  state = $2, revision = $3, deleted_at = $4, updated_at = $4, headers = NULL, credentials = NULL,
  transformation = NULL, access = NULL, access_shown = NULL
WHERE key = $1
