INSERT INTO token (key, nonce, environment, hash, hint, name, created_at, expires_at, role,
                   application, capabilities, flags, session)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
