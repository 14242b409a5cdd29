SELECT count(*), coalesce(sum(fanout), 0), max(key) FROM (
  SELECT key, fanout FROM message
  WHERE application = ?1 AND environment = ?2 AND key > ?3 AND key < ?4
  ORDER BY key LIMIT ?5
)
