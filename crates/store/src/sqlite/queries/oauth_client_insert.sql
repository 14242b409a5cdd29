INSERT INTO oauth_client (key, nonce, environment, application, application_nonce, provider, client_id,
  created_at, name, auth, settings, scopes, sealed, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT DO NOTHING
