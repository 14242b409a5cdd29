-- From now on it goes with its message.
UPDATE request SET
  fate = $4, reason = $5, verdict = $6, message = $7, message_nonce = $8, expires_at = $9
WHERE shard = $1 AND source = $2 AND key = $3
