UPDATE delivery SET attempts = ?7, due_at = ?8, epoch = ?2
WHERE key = ?1 AND epoch <= ?2 AND environment = ?3 AND application = ?4
  AND message = ?5 AND endpoint = ?6 AND attempts = ?7 - 1
