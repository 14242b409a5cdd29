-- Whether there is more between two keys than is read at once: what belongs to other applications of
-- the shard is there, too.
SELECT EXISTS (
    SELECT FROM attempt
    WHERE shard = $1 AND message > $2 AND message < $3 AND key > $2 - {hour}
    OFFSET $5
  ) OR EXISTS (
    SELECT FROM delivery WHERE shard = $1 AND key > $2 AND key < $4 OFFSET $5
  )
