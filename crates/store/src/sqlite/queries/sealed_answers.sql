SELECT count(*) FROM claim WHERE substr(answer, 1, length(?1)) = ?1 AND expires_at > ?2
