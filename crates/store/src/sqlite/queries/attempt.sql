SELECT a.key, a.nonce, a.message, m.nonce, a.endpoint, e.nonce, coalesce(r.url, e.url), a.number,
       a.trigger, a.status_code, a.response, a.failed, a.reason, a.timings, a.outcome, a.next_at,
       a.rendering
FROM attempt AS a
  CROSS JOIN message AS m ON m.key = a.message
  CROSS JOIN endpoint AS e ON e.key = a.endpoint
  LEFT JOIN endpoint_revision AS r ON r.key = a.revision
WHERE a.key = ?1 AND a.message = ?2 AND a.environment = ?3 AND a.application = ?4
