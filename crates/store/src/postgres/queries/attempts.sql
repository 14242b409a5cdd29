-- The nonces of their messages are looked for apart (attempts_messages.sql).
SELECT a.key, a.nonce, a.message, 0::int8, a.endpoint, e.nonce, coalesce(r.url, e.url), a.number,
       a.trigger, a.status_code, a.response, a.failed, a.reason, a.timings, a.outcome, a.next_at,
       a.rendering
FROM {attempt} AS a
  JOIN endpoint AS e ON e.key = a.endpoint
  LEFT JOIN endpoint_revision AS r ON r.key = a.revision
WHERE {where}
