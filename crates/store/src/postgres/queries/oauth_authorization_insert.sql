INSERT INTO oauth_authorization (key, nonce, environment, application, application_nonce, client,
  client_nonce, flow, purpose, binding, user_ref, scopes, return_to, params, version, turn, metadata,
  created_at, connection, connection_nonce, stage, reason, deadline, sealed, settled_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
  $22, $23, $24, $25)
ON CONFLICT DO NOTHING
