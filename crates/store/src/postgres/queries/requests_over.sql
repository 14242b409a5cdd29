SELECT NOT EXISTS (SELECT FROM request WHERE key >= $1 AND key < $2 AND expires_at > $3)
