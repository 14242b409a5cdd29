DELETE FROM callback_meeting WHERE callback = ANY ($1)
