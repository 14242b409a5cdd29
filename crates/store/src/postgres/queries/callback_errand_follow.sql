UPDATE callback_errand SET due_at = $3, attempts = $4, work = $5 WHERE callback = $1 AND work = $2
