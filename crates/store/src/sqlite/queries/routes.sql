SELECT key, event_types, channels, state, delivery FROM endpoint
WHERE application = ?1 AND deleted_at IS NULL
ORDER BY key
