-- The status is looked at last: it costs more than the rest.
SELECT m.key, m.nonce, m.event_id, m.event_type, m.channels, m.tags, m.content_type, m.origin,
       m.version, m.fits_schema, m.ordering_key, CASE WHEN ?5 THEN m.payload END,
       CASE WHEN ?5 THEN m.headers END
FROM message AS m
WHERE m.application = ?1 AND m.environment = ?2 AND m.key > ?3 AND m.key < ?4
  AND (?6 IS NULL OR m.event_type IN (SELECT value FROM json_each(?6)))
  AND (?7 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.channels) WHERE value = ?7))
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value = ?8))
  AND {status}
ORDER BY m.key {direction}
LIMIT ?9
