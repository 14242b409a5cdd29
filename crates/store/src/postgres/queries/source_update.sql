UPDATE source SET
  uid = $2, name = $3, provider = $4, config = $5, settings = $6, token = $7, armed_until = $8,
  metadata = $9, updated_at = $10
WHERE key = $1
