DELETE FROM delivery
WHERE key = ?1 AND epoch <= ?2 AND environment = ?3 AND application = ?4
  AND message = ?5 AND endpoint = ?6
