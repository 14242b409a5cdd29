DELETE FROM callback_errand WHERE callback = ANY ($1)
