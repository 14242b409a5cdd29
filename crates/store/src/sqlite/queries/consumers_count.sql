SELECT count(*) FROM consumer WHERE endpoint = ?1
