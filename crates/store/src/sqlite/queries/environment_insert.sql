INSERT INTO environment (key, name, created_at) VALUES (?1, ?2, ?3)
