SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, e.delivery, e.access_shown, r.event_types, r.channels, r.state
FROM message AS m
  JOIN endpoint AS e ON e.application = m.application
  LEFT JOIN LATERAL (
    SELECT v.event_types, v.channels, v.state FROM endpoint_revision AS v
    WHERE v.endpoint = e.key AND v.key <= m.routed
    ORDER BY v.key DESC LIMIT 1
  ) AS r ON true
WHERE m.shard = $1 AND m.key = $2 AND (e.deleted_at IS NULL OR r.state IS NOT NULL)
ORDER BY e.key
