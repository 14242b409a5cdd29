WITH revision AS (
  INSERT INTO endpoint_revision (key, endpoint, url, event_types, channels, state, filter)
  SELECT revision, key, url, event_types, channels, state, filter FROM endpoint
  WHERE key = $1 AND application = $2
  RETURNING key
)
UPDATE application SET routed = greatest(routed, revision.key)
FROM revision WHERE application.key = $2
