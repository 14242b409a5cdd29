SELECT count(*) FILTER (WHERE outcome IN (0, 5)), count(*) FILTER (WHERE outcome NOT IN (0, 5))
FROM attempt WHERE endpoint = ?1 AND key >= ?2 AND key < ?3
