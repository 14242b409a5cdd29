-- A source has few beside its messages, so that what expires out of order is found, too.
SELECT key FROM (
  SELECT key, expires_at FROM request INDEXED BY request_refused
  WHERE source = ?1 AND fate <> 0 ORDER BY key LIMIT ?4
)
WHERE expires_at <= ?2 LIMIT ?3
