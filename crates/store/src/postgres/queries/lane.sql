SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, s.sealed, s.expires_at, e.headers, e.credentials, e.environment,
       e.application, a.nonce, a.uid
FROM endpoint AS e
  JOIN application AS a ON a.key = e.application
  LEFT JOIN endpoint_secret AS s ON s.endpoint = e.key
WHERE e.key = $1
ORDER BY s.key DESC
