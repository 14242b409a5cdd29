SELECT callback, callback_nonce, due_at, attempts, work FROM callback_errand
WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2
