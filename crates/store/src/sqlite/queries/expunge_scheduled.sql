DELETE FROM delivery
WHERE key > ?1 AND key <= ?1 + (SELECT fanout FROM message WHERE key = ?1) AND +message = ?1
RETURNING key, endpoint
