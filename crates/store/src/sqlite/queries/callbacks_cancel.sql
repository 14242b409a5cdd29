UPDATE callback SET state = 5, due_at = ?2, settled_at = ?2 WHERE application = ?1 AND state <= 1
