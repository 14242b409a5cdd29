SELECT a.key, a.routed, e.key, e.event_types, e.channels, e.state, a.hidden
FROM application AS a
  LEFT JOIN endpoint AS e ON e.application = a.key AND e.deleted_at IS NULL
WHERE a.environment = $1 AND a.key = $2 AND a.nonce = $3 AND a.deleted_at IS NULL
ORDER BY e.key
