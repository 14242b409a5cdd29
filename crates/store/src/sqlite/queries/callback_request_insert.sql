INSERT INTO callback_request (key, nonce, callback, act, party, fate, item, reason, method, target,
  address, content_type, headers, bytes, message, message_nonce, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
