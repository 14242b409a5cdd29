SELECT r.message, m.nonce
FROM request AS r LEFT JOIN message AS m ON m.key = r.message
WHERE r.key = ?1 AND r.source = ?2 AND r.fate = ?3
