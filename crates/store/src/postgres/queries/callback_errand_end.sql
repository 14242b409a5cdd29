DELETE FROM callback_errand WHERE callback = $1 AND work = $2
