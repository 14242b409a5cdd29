UPDATE request SET headers = CAST(?5 AS TEXT) WHERE key = ?3 AND CAST(headers AS BLOB) = ?4
