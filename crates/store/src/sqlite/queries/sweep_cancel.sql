DELETE FROM delivery WHERE key IN (
  SELECT d.key FROM delivery AS d JOIN endpoint AS e ON e.key = d.endpoint
  WHERE d.endpoint = ?1 AND e.deleted_at IS NOT NULL LIMIT ?2
)
