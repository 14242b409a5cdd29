SELECT count(*) FROM (
  SELECT 1 FROM delivery WHERE endpoint = ?1 AND due_at <= ?2 LIMIT ?3
)
