-- Whether an attempt succeeded, and when the deliveries that are open are due.
-- The plus signs keep the deliveries from being looked up by their endpoint, which may have a
-- million: those of one message are few.
SELECT m.key,
       (SELECT max(a.outcome IN (0, 5)) FROM attempt AS a WHERE a.message = m.key AND a.endpoint = ?5),
       (SELECT d.due_at FROM delivery AS d
        WHERE d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
          AND +d.endpoint = ?5),
       (SELECT min(d.due_at) FROM delivery AS d
        WHERE d.message = m.key AND d.trigger = 1 AND +d.endpoint = ?5)
FROM message AS m
WHERE m.application = ?1 AND m.environment = ?2 AND m.key > ?3 AND m.key < ?4
  AND (?6 IS NULL OR m.event_type IN (SELECT value FROM json_each(?6)))
  AND (?7 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.channels) WHERE value = ?7))
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.tags) WHERE value = ?8))
ORDER BY m.key {direction}
