SELECT s.key, s.nonce, s.application, a.nonce, s.uid, s.name, s.provider, s.config, s.settings,
       s.token, s.armed_until, s.metadata, s.created_at, s.updated_at
FROM source AS s JOIN application AS a ON a.key = s.application
WHERE s.key = ?1
