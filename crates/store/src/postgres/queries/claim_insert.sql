INSERT INTO claim (shard, bucket, fingerprint, key, body, expires_at, status, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
