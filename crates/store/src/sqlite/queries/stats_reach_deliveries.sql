SELECT due_at FROM delivery WHERE endpoint = ?1 AND due_at >= ?2
ORDER BY due_at DESC LIMIT 1 OFFSET ?3
