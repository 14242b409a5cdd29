SELECT m.key
FROM message_event_id AS v JOIN message AS m ON m.shard = v.shard AND m.key = v.message
WHERE v.shard = $1 AND v.application = $4 AND v.event_id = $2
  AND m.environment = $3 AND m.application = $4
