SELECT key, nonce, environment, application, application_nonce, provider, client_id, created_at, name,
       auth, settings, scopes, sealed, updated_at
FROM oauth_client
