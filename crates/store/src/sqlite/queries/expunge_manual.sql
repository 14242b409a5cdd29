DELETE FROM delivery WHERE message = ?1 AND trigger = 1
RETURNING key, endpoint
