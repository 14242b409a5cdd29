SELECT min(endpoint) FROM delivery WHERE endpoint > ?1
