DELETE FROM callback_errand WHERE callback = ?1
