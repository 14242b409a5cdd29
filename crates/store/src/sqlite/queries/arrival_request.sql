-- What a message was as a request: the one with its key, or one that was kept and became it later.
SELECT method, target, verdict, address, event_id FROM request WHERE key = ?1
UNION ALL
SELECT method, target, verdict, address, event_id FROM request INDEXED BY request_message
WHERE message = ?1 AND message <> key AND fate = 0
LIMIT 1
