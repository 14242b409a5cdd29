SELECT r.key, r.nonce, r.fate, r.reason, r.verdict, r.status, r.method, r.target, r.address,
       r.event_id, r.event_type, r.bytes, r.message, m.nonce, NULL, NULL
FROM request AS r INDEXED BY {index} LEFT JOIN message AS m ON m.key = r.message
WHERE r.source = ?1 AND r.environment = ?2 AND r.key > ?3 AND r.key < ?4 AND {condition}
  AND (?5 IS NULL OR r.fate IN (SELECT value FROM json_each(?5)))
  AND (?6 IS NULL OR r.event_id = ?6)
ORDER BY r.key {direction}
LIMIT ?7
