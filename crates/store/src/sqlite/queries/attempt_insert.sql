INSERT OR IGNORE INTO attempt (
  key, nonce, environment, application, message, endpoint, revision, epoch, number, trigger,
  outcome, status_code, failed, reason, next_at, timings, response, rendering
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
