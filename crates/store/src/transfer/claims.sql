-- The claims as the target keeps them: each with the bucket in which it ends, and a message's with
-- the application. Of claims with the same fingerprint in one bucket (the index in memory had
-- forgotten the first), the last one counts. A message's claim ends with its message.
(
  SELECT max(c.key) AS key, c.fingerprint, c.body, c.expires_at, c.status, c.answer, m.application,
         CASE WHEN c.expires_at - (c.key >> 20) <= 3600000 THEN c.expires_at / 3600000
              WHEN c.expires_at - (c.key >> 20) <= 86400000 THEN c.expires_at / 86400000 * 24
              WHEN c.expires_at - (c.key >> 20) <= 4 * 86400000
              THEN (1 << 40) + c.expires_at / 86400000 / 4 * 4
              ELSE (1 << 41) + c.expires_at / 86400000 / 32 * 32 END AS bucket
  FROM claim AS c LEFT JOIN message AS m ON m.key = c.key AND c.status IS NULL
  WHERE c.status IS NOT NULL OR m.key IS NOT NULL
  GROUP BY c.fingerprint, bucket
)
