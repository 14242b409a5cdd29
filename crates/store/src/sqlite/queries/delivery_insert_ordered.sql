-- There is one writer, and keys grow: so the key is the place in the order. If there is one before it, it
-- waits (see ordering.rs).
INSERT INTO delivery (
  key, message, shard, environment, application, endpoint, epoch, attempts, trigger, due_at,
  ordering_key, sequence
) VALUES (
  ?1, ?2, 0, ?3, ?4, ?5, ?6, 0, 0,
  ?7 + 4503599627370496 * EXISTS (
    SELECT 1 FROM delivery WHERE endpoint = ?5 AND ordering_key = ?8
  ),
  ?8, ?1
)
