UPDATE request SET fate = ?3, message = ?4, message_nonce = ?5, verdict = ?6, reason = ?7
WHERE key = ?1 AND source = ?2
