UPDATE event_type SET archived = true, updated_at = $3
WHERE environment = $1 AND NOT archived AND name COLLATE "C" <> ALL ($2)
