SELECT a.key, a.nonce, a.message, m.nonce, a.endpoint, e.nonce, coalesce(r.url, e.url), a.number,
       a.trigger, a.status_code, a.response, a.failed, a.reason, a.timings, a.outcome, a.next_at,
       a.rendering
FROM attempt AS a
  CROSS JOIN message AS m ON m.key = a.message
  CROSS JOIN endpoint AS e ON e.key = a.endpoint
  LEFT JOIN endpoint_revision AS r ON r.key = a.revision
WHERE {of} AND a.environment = ?1 AND a.application = ?2 AND a.key > ?3 AND a.key < ?4
  AND (?5 IS NULL OR a.message = ?5)
  AND (?6 IS NULL OR a.endpoint = ?6)
  AND (?7 IS NULL OR (a.outcome IN (0, 5)) = ?7)
  AND (?8 IS NULL OR (a.outcome NOT IN (0, 5) AND (a.outcome = 1) = ?8))
  AND (?9 IS NULL OR a.status_code BETWEEN ?9 AND ?10)
  AND (?11 IS NULL OR m.event_type IN (SELECT value FROM json_each(?11)))
  AND (?12 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.channels) WHERE value = ?12))
  AND (?13 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value = ?13))
ORDER BY a.key {direction}
LIMIT ?14
