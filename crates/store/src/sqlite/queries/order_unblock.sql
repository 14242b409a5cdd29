DELETE FROM delivery WHERE endpoint = ?1 AND due_at >= 9007199254740992
