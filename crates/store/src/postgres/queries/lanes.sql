-- One after the other by its key, whatever the statistics say: these are a few of very many.
SELECT e.key, e.nonce, e.uid, e.url, e.description, e.event_types, e.channels, e.metadata,
       e.throttle_rate, e.state, e.failing_since, e.revision, e.created_at, e.updated_at,
       e.filter, e.sign_as, e.delivery, e.access_shown, s.sealed, s.expires_at, e.headers,
       e.credentials, e.transformation, e.access, e.environment, e.application, a.nonce, a.uid
FROM (SELECT DISTINCT unnest($1::bigint[]) AS key) AS wanted
  CROSS JOIN LATERAL (SELECT * FROM endpoint WHERE key = wanted.key OFFSET 0) AS e
  CROSS JOIN LATERAL (SELECT nonce, uid FROM application WHERE key = e.application OFFSET 0) AS a
  LEFT JOIN LATERAL (
    SELECT key, sealed, expires_at FROM endpoint_secret WHERE endpoint = e.key OFFSET 0
  ) AS s ON true
ORDER BY e.key, s.key DESC
