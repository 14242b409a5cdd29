SELECT key, nonce, act, party, fate, item, reason, method, target, address, content_type, headers, bytes,
       message, message_nonce, body
FROM callback_request WHERE key = $1 AND callback = $2
