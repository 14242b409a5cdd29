SELECT key, nonce, environment, application, application_nonce, kind, state, expires_at, silence, seen_at,
       taken, most, failed, answer, version, turn, terms, sealed, source, source_nonce, reference, tags,
       metadata, created_at, settled_at, settled_by, settled_nonce, requests, amount, currency
FROM callback INDEXED BY {index}
WHERE environment = ?1 AND {condition} AND key > ?2 AND key < ?3
  AND (?4 IS NULL OR reference = ?4)
  AND (?5 IS NULL OR application = ?5)
  AND (?6 IS NULL OR CASE WHEN state <= 1 AND due_at <= ?7 THEN 4 ELSE state END
                     IN (SELECT value FROM json_each(?6)))
  AND (?8 IS NULL OR kind = ?8)
  AND (?9 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?9))
ORDER BY key {direction}
LIMIT ?10
