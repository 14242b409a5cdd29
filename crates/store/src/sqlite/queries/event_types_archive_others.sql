UPDATE event_type SET archived = 1, updated_at = ?3
WHERE environment = ?1 AND archived = 0 AND name NOT IN (SELECT value FROM json_each(?2))
