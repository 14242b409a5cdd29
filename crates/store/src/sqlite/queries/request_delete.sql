DELETE FROM request WHERE key = ?1 AND fate <> 0
