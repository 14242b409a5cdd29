SELECT NOT EXISTS (
  SELECT FROM message WHERE key >= $1 AND key < $2 AND expires_at > $3
) AND NOT EXISTS (
  SELECT FROM generate_series(0, $4 - 1) AS s (shard) CROSS JOIN LATERAL (
    SELECT FROM delivery AS d
    WHERE d.shard = s.shard AND d.key >= $1 AND d.key < $2 AND d.trigger = 0 LIMIT 1
  ) AS pending
) AND NOT EXISTS (
  SELECT FROM delivery AS d
  WHERE d.trigger = 1 AND d.message >= $1 AND d.message < $2
)
