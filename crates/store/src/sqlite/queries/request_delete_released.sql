DELETE FROM request WHERE message = ?1 AND message <> key AND fate = 0
