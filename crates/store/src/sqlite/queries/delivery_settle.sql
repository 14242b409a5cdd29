-- The plus signs keep SQLite to the keys after the message's own: the index over endpoints leads
-- through everything that waits for this one.
DELETE FROM delivery
WHERE key > ?1 AND key <= ?1 + (SELECT fanout FROM message WHERE key = ?1)
  AND +message = ?1 AND +endpoint = ?2 AND environment = ?3 AND application = ?4
RETURNING key
