UPDATE callback SET version = ?2, turn = ?3 WHERE key = ?1
