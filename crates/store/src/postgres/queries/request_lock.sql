SELECT r.message, r.message_nonce
FROM source AS s JOIN request AS r ON r.shard = s.shard AND r.source = s.key
WHERE s.key = $1 AND s.environment = $2 AND r.key = $3
FOR UPDATE OF r
