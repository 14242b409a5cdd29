SELECT key, nonce, environment, application, application_nonce, client, client_nonce, provider,
       user_ref, metadata, created_at, state, reason, version, sealed, expires_at, refreshable, scopes,
       account, lease_holder, lease_until, failures, retry_at, subscriptions, refreshed_at
FROM oauth_connection
