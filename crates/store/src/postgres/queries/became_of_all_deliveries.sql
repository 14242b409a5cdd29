-- What is open of all messages between two keys; $10 is beyond the last delivery that was scheduled
-- with them.
SELECT message, endpoint, trigger, due_at FROM delivery
WHERE shard = $1 AND key > $4 AND key < $10 AND message > $4 AND message < $5
UNION ALL
SELECT message, endpoint, trigger, due_at FROM delivery
WHERE shard = $1 AND message > $4 AND message < $5 AND trigger = 1
