SELECT endpoint, count(*), max(key), max(outcome = 0) FROM attempt WHERE message = ?1
GROUP BY endpoint
