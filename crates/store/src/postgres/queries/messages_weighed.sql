-- The last of the messages that a page looks at which needs all that became of them.
SELECT key FROM (
  SELECT key, row_number() OVER looked AS place, sum(greatest(fanout, 1)) OVER looked AS weight
  FROM message
  WHERE shard = $1 AND application = $2 AND key > $3 AND key < $4
  WINDOW looked AS (ORDER BY key {direction} ROWS UNBOUNDED PRECEDING)
  ORDER BY key {direction}
  LIMIT $5
) AS looked
WHERE place = $5 OR weight >= $6
ORDER BY place
LIMIT 1
