INSERT INTO claim (key, fingerprint, body, expires_at, status, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
