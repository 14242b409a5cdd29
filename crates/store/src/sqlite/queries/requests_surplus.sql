-- Held are schema_invalid and quarantined (ringback_domain::source::Fate::is_held).
SELECT key FROM request INDEXED BY request_refused
WHERE source = ?1 AND fate <> 0 AND (fate IN (5, 6)) = ?2 AND key <= (
  SELECT key FROM request INDEXED BY request_refused
  WHERE source = ?1 AND fate <> 0 AND (fate IN (5, 6)) = ?2
  ORDER BY key DESC LIMIT 1 OFFSET ?3
)
ORDER BY key LIMIT ?4
