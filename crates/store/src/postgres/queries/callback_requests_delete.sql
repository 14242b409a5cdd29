DELETE FROM callback_request WHERE key IN (
  SELECT key FROM callback_request WHERE callback = ANY ($1) LIMIT $2
)
