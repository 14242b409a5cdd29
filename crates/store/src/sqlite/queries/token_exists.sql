SELECT EXISTS (SELECT 1 FROM token WHERE key = ?1 OR hash = ?2)
