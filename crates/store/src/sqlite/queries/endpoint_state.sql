SELECT state FROM endpoint WHERE key = ?1
