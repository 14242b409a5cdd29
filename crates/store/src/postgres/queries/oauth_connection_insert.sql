INSERT INTO oauth_connection (key, nonce, environment, application, application_nonce, client,
  client_nonce, provider, user_ref, metadata, created_at, state, reason, version, sealed, expires_at,
  refreshable, scopes, account, lease_holder, lease_until, failures, retry_at, subscriptions,
  refreshed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
  $22, $23, $24, $25)
ON CONFLICT DO NOTHING
