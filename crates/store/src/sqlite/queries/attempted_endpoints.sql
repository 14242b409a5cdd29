SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, e.delivery, e.access_shown, s.succeeded, s.due_at
FROM (
  SELECT endpoint, max(succeeded) AS succeeded, min(due_at) AS due_at FROM (
    SELECT endpoint, outcome IN (0, 5) AS succeeded, NULL AS due_at FROM attempt WHERE message = ?1
    UNION ALL
    SELECT endpoint, NULL, due_at FROM delivery
    WHERE key > ?1 AND key <= ?1 + (SELECT fanout FROM message WHERE key = ?1) AND message = ?1
    UNION ALL
    SELECT endpoint, NULL, due_at FROM delivery WHERE message = ?1 AND trigger = 1
  )
  WHERE endpoint > ?2 AND endpoint < ?3
  GROUP BY endpoint ORDER BY endpoint {direction} LIMIT ?4
) AS s CROSS JOIN endpoint AS e ON e.key = s.endpoint
ORDER BY e.key {direction}
