SELECT min(due_at) FROM callback WHERE state <= 1
