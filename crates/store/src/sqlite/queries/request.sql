SELECT r.key, r.nonce, r.fate, r.reason, r.verdict, r.status, r.method, r.target, r.address,
       r.event_id, r.event_type, r.bytes, r.message, r.message_nonce,
       CASE WHEN r.message = r.key THEN m.headers ELSE r.headers END,
       CASE WHEN r.message = r.key THEN m.payload ELSE r.body END
FROM request AS r LEFT JOIN message AS m ON m.key = r.key
WHERE r.key = ?1 AND r.nonce = ?2 AND r.source = ?3 AND r.environment = ?4
