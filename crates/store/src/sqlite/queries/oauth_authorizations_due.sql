WHERE stage <= 2 AND deadline <= ?1 ORDER BY deadline LIMIT ?2
