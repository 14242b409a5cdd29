-- The attempts of all messages between two keys at once: a look-up for each would go through the
-- partitions of every later day.
SELECT message, endpoint, outcome FROM attempt
WHERE shard = $1 AND message > $4 AND message < $5 AND key > $4 - {hour}
