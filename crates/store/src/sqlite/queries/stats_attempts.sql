SELECT count(*) FILTER (WHERE outcome = 0), count(*) FILTER (WHERE outcome <> 0)
FROM attempt WHERE endpoint = ?1 AND key >= ?2 AND key < ?3
