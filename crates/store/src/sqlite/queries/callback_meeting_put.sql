INSERT INTO callback_meeting (owner, reference, environment, callback, callback_nonce, message,
  message_nonce, failed, answer, content_type, body, forget_at,
  amount, currency)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (owner, reference) DO UPDATE SET callback = excluded.callback,
  callback_nonce = excluded.callback_nonce, message = excluded.message,
  message_nonce = excluded.message_nonce, failed = excluded.failed, answer = excluded.answer,
  content_type = excluded.content_type, body = excluded.body, forget_at = excluded.forget_at,
  amount = excluded.amount, currency = excluded.currency
