INSERT INTO task (
  key, nonce, environment, application, endpoint, kind, status, request, data, first, cursor, ends,
  created_at, updated_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
