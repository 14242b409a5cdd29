UPDATE callback_meeting SET callback = $3, callback_nonce = $4, message = $5, message_nonce = $6,
  failed = $7, answer = $8, content_type = $9, body = $10, forget_at = $11, amount = $12, currency = $13
WHERE owner = $1 AND reference = $2
