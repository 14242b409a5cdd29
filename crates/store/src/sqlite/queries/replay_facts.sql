-- The unary pluses keep SQLite from the indexes over endpoints, which lead through everything that
-- an endpoint ever got; what belongs to one message is little.
SELECT m.key, m.origin, m.event_type, m.channels, m.tags, m.payload IS NOT NULL,
       (SELECT max(a.outcome IN (0, 5)) FROM attempt AS a
        WHERE a.message = m.key AND +a.endpoint = ?5),
       (SELECT a.status_code FROM attempt AS a
        WHERE a.message = m.key AND +a.endpoint = ?5 ORDER BY a.key DESC LIMIT 1),
       (SELECT d.due_at FROM delivery AS d
        WHERE d.key > m.key AND d.key <= m.key + m.fanout AND +d.message = m.key
          AND +d.endpoint = ?5),
       EXISTS (SELECT 1 FROM delivery AS d
               WHERE d.message = m.key AND d.trigger = 1 AND +d.endpoint = ?5)
FROM message AS m
WHERE m.application = ?1 AND m.environment = ?2 AND m.key > ?3 AND m.key < ?4
ORDER BY m.key
LIMIT ?6
