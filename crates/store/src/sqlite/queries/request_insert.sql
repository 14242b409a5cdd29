INSERT INTO request (
  key, nonce, environment, application, source, fate, expires_at, message, message_nonce, status,
  bytes, verdict, reason, method, target, address, event_id, event_type, headers, body
) VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20
)
