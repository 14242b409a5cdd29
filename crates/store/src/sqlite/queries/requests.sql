SELECT key, nonce, fate, reason, verdict, status, method, target, address, event_id, event_type,
       bytes, message, message_nonce, NULL, NULL
FROM request INDEXED BY {index}
WHERE source = ?1 AND environment = ?2 AND key > ?3 AND key < ?4 AND {condition}
  AND (?5 IS NULL OR fate IN (SELECT value FROM json_each(?5)))
  AND (?6 IS NULL OR event_id = ?6)
  AND (?7 IS NULL OR event_type = ?7)
ORDER BY key {direction}
LIMIT ?8
