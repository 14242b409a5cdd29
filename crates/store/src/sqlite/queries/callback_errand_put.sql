INSERT INTO callback_errand (callback, callback_nonce, due_at, attempts, work)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (callback) DO UPDATE SET due_at = excluded.due_at, attempts = excluded.attempts,
  work = excluded.work
