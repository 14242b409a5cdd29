SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, e.delivery, e.access_shown, r.event_types, r.channels, r.state
FROM endpoint AS e LEFT JOIN endpoint_revision AS r ON r.key = (
  SELECT max(key) FROM endpoint_revision WHERE endpoint = e.key AND key < ?2
)
WHERE e.application = ?1 AND (e.deleted_at IS NULL OR r.key IS NOT NULL)
ORDER BY e.key
