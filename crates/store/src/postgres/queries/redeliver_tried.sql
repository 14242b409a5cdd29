-- The endpoints at which a message was tried. No attempt is much older than its message.
SELECT a.endpoint, bool_or(a.outcome IN (0, 5))
FROM attempt AS a
WHERE a.shard = $1 AND a.message = $2 AND a.key > $3
GROUP BY a.endpoint
