SELECT s.key, s.nonce, s.uid, s.name, s.provider, s.application, a.nonce, s.config, s.settings, s.token,
       s.armed_until, s.metadata, s.created_at, s.updated_at, s.environment
FROM source_token AS t
  JOIN source AS s ON s.key = t.source
  JOIN application AS a ON a.key = s.application
WHERE t.hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)
