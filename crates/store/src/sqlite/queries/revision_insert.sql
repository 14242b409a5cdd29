INSERT INTO endpoint_revision (key, endpoint, url, event_types, channels, state)
SELECT revision, key, url, event_types, channels, state FROM endpoint WHERE key = ?1
