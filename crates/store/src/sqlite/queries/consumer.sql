SELECT endpoint, name, place, turn, created_at, seen_at FROM consumer
WHERE endpoint = ?1 AND name = ?2
