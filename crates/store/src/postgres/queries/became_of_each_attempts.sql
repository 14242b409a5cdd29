SELECT a.message, a.endpoint, a.outcome
FROM looked AS m
  CROSS JOIN LATERAL (
    SELECT message, endpoint, outcome FROM attempt
    WHERE shard = $1 AND message = m.key AND key > $4 - {hour} AND key > m.key - {hour}
    OFFSET 0
  ) AS a
