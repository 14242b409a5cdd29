UPDATE listener SET place = ?2, seen_at = ?3 WHERE key = ?1
