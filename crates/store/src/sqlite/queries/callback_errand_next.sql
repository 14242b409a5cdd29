SELECT due_at FROM callback_errand ORDER BY due_at LIMIT 1
