SELECT max(newest.key) FROM generate_series(0, $2 - 1) AS s (shard) CROSS JOIN LATERAL (
  SELECT key FROM attempt
  WHERE attempt.shard = s.shard AND attempt.key > $1 ORDER BY attempt.key DESC LIMIT 1
) AS newest
