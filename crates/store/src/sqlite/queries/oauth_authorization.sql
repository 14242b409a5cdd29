SELECT key, nonce, environment, application, application_nonce, client, client_nonce, flow, purpose,
       binding, user_ref, scopes, return_to, params, version, turn, metadata, created_at, connection,
       connection_nonce, stage, reason, deadline, sealed, settled_at
FROM oauth_authorization
