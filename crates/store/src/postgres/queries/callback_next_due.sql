SELECT due_at FROM callback WHERE state <= 1 ORDER BY due_at LIMIT 1
