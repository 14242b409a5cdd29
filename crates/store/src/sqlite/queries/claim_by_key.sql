SELECT body, status, answer FROM claim WHERE key = ?1 AND fingerprint = ?2 AND expires_at > ?3
