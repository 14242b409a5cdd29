INSERT OR IGNORE INTO attempt (
  key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
  outcome, status_code, timings, response
) VALUES (
  ?1, 7, ?2, ?3, ?4, ?5, ?5, 1, ?6, ?7, ?8, ?9, zeroblob(24),
  CAST('{"received": true, "trace": "0123456789abcdef0123456789abcdef"}' AS BLOB)
)
