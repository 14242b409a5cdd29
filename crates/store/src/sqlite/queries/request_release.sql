UPDATE request SET fate = ?3, message = ?4, verdict = ?5, reason = ?6
WHERE key = ?1 AND source = ?2
