EXISTS (SELECT 1 FROM attempt AS a WHERE a.message = m.key AND a.outcome IN (0, 5))
