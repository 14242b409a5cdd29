SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, e.delivery, e.access_shown, s.succeeded, s.due_at
FROM (
  SELECT endpoint, bool_or(succeeded) AS succeeded, min(due_at) AS due_at FROM (
    SELECT endpoint, outcome IN (0, 5) AS succeeded, NULL::int8 AS due_at FROM attempt
    WHERE shard = $1 AND message = $2 AND key > $2 - {hour}
    UNION ALL
    SELECT endpoint, NULL, due_at FROM delivery
    WHERE shard = $1 AND key > $2 AND message = $2
      AND key <= $2 + (SELECT fanout FROM message WHERE shard = $1 AND key = $2)
    UNION ALL
    SELECT endpoint, NULL, due_at FROM delivery
    WHERE shard = $1 AND message = $2 AND trigger = 1
  ) AS each
  WHERE endpoint > $3 AND endpoint < $4
  GROUP BY endpoint ORDER BY endpoint {direction} LIMIT $5
) AS s JOIN endpoint AS e ON e.key = s.endpoint
ORDER BY e.key {direction}
