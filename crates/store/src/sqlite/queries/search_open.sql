SELECT +d.endpoint AS endpoint, e.deleted_at FROM delivery AS d CROSS JOIN endpoint AS e ON e.key = d.endpoint
WHERE d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
UNION ALL
SELECT +d.endpoint AS endpoint, e.deleted_at FROM delivery AS d CROSS JOIN endpoint AS e ON e.key = d.endpoint
WHERE d.message = m.key AND d.trigger = 1
