SELECT endpoint, count(*) FILTER (WHERE outcome <> 5), max(key), max(outcome = 0) FROM attempt WHERE message = ?1
GROUP BY endpoint
