DELETE FROM listener WHERE key = ?1
