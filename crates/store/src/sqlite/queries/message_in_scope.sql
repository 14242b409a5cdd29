SELECT EXISTS (
  SELECT 1 FROM message WHERE key = ?1 AND environment = ?2 AND application = ?3
)
