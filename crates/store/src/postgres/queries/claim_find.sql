SELECT body, status, answer FROM claim
WHERE shard = $1 AND bucket IN ($2, $3) AND fingerprint = $4 AND expires_at > $5
