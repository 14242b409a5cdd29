UPDATE listener SET place = max(place, ?2), seen_at = max(seen_at, ?3) WHERE key = ?1
