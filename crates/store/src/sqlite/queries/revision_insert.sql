INSERT INTO endpoint_revision (key, endpoint, url, event_types, channels, state, filter)
SELECT revision, key, url, event_types, channels, state, filter FROM endpoint WHERE key = ?1
