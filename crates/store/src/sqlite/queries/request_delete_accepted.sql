DELETE FROM request WHERE key = ?1
