-- What is not due yet, of endpoints to which attempts are made. The plus sign keeps SQLite to the
-- keys after the message's own.
UPDATE delivery SET due_at = ?2
WHERE key > ?1 AND key <= ?1 + (SELECT fanout FROM message WHERE key = ?1) AND +message = ?1
  AND due_at > ?2
  -- What waits for its turn goes on waiting (see ordering.rs).
  AND due_at NOT BETWEEN 4503599627370496 AND 9007199254740991
  AND EXISTS (
    SELECT 1 FROM endpoint AS e
    WHERE e.key = delivery.endpoint AND e.state = ?3 AND e.deleted_at IS NULL
  )
RETURNING key, endpoint, attempts, sequence, fixed
