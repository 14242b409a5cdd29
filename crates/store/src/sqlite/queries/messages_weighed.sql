-- The last of the messages that a page looks at which needs all that became of them.
SELECT key FROM (
  SELECT key, row_number() OVER looked AS place, sum(max(fanout, 1)) OVER looked AS weight
  FROM message
  WHERE application = ?1 AND key > ?2 AND key < ?3
  WINDOW looked AS (ORDER BY key {direction} ROWS UNBOUNDED PRECEDING)
  ORDER BY key {direction}
  LIMIT ?4
)
WHERE place = ?4 OR weight >= ?5
ORDER BY place
LIMIT 1
