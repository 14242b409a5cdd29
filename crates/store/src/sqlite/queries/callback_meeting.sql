SELECT callback, callback_nonce, message, message_nonce, failed, answer, content_type, body, forget_at, amount, currency
FROM callback_meeting WHERE owner = ?1 AND reference = ?2 AND environment = ?3
