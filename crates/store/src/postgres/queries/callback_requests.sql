SELECT key, nonce, act, party, fate, item, reason, method, target, address, content_type, headers, bytes,
       message, message_nonce,
       CASE WHEN $4 THEN body END
FROM callback_request
WHERE callback = $1 AND key > $2 AND key < $3
ORDER BY key {direction}
LIMIT $5
