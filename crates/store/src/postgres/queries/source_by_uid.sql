SELECT s.key, s.nonce, s.uid, s.name, s.provider, s.application, a.nonce, s.config, s.settings, s.token,
       s.armed_until, s.metadata, s.created_at, s.updated_at, s.environment
FROM source AS s JOIN application AS a ON a.key = s.application
WHERE s.environment = $1 AND s.uid = $2
