UPDATE event_type SET
  validation = ?2, ordering_pointer = ?3, deliver_original = ?4, updated_at = ?5,
  schemas = CASE WHEN ?6 THEN ?7 ELSE schemas END
WHERE key = ?1
