INDEXED BY {table}_{index}
WHERE environment = ?1 AND {condition} AND key > ?2 AND key < ?3
  AND (?5 IS NULL OR application = ?5)
  AND (?6 IS NULL OR client = ?6)
  AND (?7 IS NULL OR CASE WHEN stage <= 2 AND deadline <= ?8
                         THEN CASE stage WHEN 2 THEN 4 ELSE 5 END ELSE stage END
       IN (SELECT value FROM json_each(?7)))
ORDER BY key {direction}
LIMIT ?9
