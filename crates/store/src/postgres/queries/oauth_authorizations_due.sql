WHERE stage <= 2 AND deadline <= $1 ORDER BY deadline LIMIT $2
-- Whoever has one makes a step of it, which writes the same down.
FOR UPDATE SKIP LOCKED
