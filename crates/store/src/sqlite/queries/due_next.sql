SELECT min(due_at) FROM delivery WHERE endpoint = ?1 AND due_at > ?2
