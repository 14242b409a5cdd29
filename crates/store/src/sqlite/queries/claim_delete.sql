DELETE FROM claim WHERE key = ?1 AND expires_at <= ?2
