-- It is planned with its parameters' values, so the index follows from what is asked for.
SELECT a.key, a.nonce, a.message, m.nonce, a.endpoint, e.nonce, coalesce(r.url, e.url), a.number,
       a.trigger, a.status_code, a.response, a.failed, a.reason, a.timings, a.outcome, a.next_at
FROM {attempt} AS a
  JOIN message AS m ON m.shard = a.shard AND m.key = a.message
  JOIN endpoint AS e ON e.key = a.endpoint
  LEFT JOIN endpoint_revision AS r ON r.key = a.revision
WHERE a.shard = $1 AND a.environment = $2 AND a.application = $3 AND a.key > $4 AND a.key < $5
  AND ($6 IS NULL OR a.message = $6)
  AND ($7 IS NULL OR a.endpoint = $7)
  AND ($8 IS NULL OR (a.outcome = 0) = $8)
  AND ($9 IS NULL OR (a.outcome <> 0 AND (a.outcome = 1) = $9))
  AND ($10 IS NULL OR a.status_code BETWEEN $10 AND $11)
  AND ($12 IS NULL OR m.event_type = ANY ($12))
  AND ($13 IS NULL OR m.channels ? $13)
  AND ($14 IS NULL OR m.tags ? $14)
ORDER BY a.key {direction}
LIMIT $15
