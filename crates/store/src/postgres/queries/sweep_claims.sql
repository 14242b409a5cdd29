WITH gone AS (
  DELETE FROM claim AS c USING (
    SELECT shard, bucket, fingerprint FROM claim_default WHERE expires_at <= $1 LIMIT $2
  ) AS expired
  WHERE c.shard = expired.shard AND c.bucket = expired.bucket
    AND c.fingerprint = expired.fingerprint
  RETURNING 1
)
SELECT count(*) FROM gone
