UPDATE request SET headers = NULL, body = NULL WHERE message = ?1 AND message <> key
