DELETE FROM callback WHERE key = ?1
