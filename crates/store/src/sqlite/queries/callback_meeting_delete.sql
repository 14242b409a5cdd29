DELETE FROM callback_meeting WHERE callback = ?1
