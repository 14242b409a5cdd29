SELECT key, nonce, event_id, event_type, channels, tags, content_type, origin,
       version, fits_schema, ordering_key, CASE WHEN ?5 THEN payload END, CASE WHEN ?5 THEN headers END
FROM message
WHERE application = ?1 AND environment = ?2 AND key > ?3 AND key < ?4
  AND (?6 IS NULL OR event_type IN (SELECT value FROM json_each(?6)))
  AND (?7 IS NULL OR EXISTS (SELECT 1 FROM json_each(channels) WHERE value = ?7))
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?8))
ORDER BY key {direction}
LIMIT ?9
