-- One that is not tried again blocks its order: 2^53 milliseconds, never by itself.
UPDATE delivery SET
  attempts = ?7, due_at = coalesce(?8, due_at + 9007199254740992), epoch = ?2,
  fixed = coalesce(?9, fixed)
WHERE key = ?1 AND epoch <= ?2 AND environment = ?3 AND application = ?4
  AND message = ?5 AND endpoint = ?6 AND attempts = ?7 - 1
