SELECT max(
  coalesce((SELECT key + fanout FROM message ORDER BY key DESC LIMIT 1), 0),
  coalesce((SELECT max(key) FROM delivery), 0),
  coalesce((SELECT max(key) FROM claim), 0),
  coalesce((SELECT max(key) FROM endpoint_secret), 0),
  coalesce((SELECT max(key) FROM endpoint_revision), 0),
  coalesce((SELECT max(key) FROM environment), 0),
  coalesce((SELECT max(key) FROM audit), 0),
  coalesce((SELECT max(key) FROM request), 0),
  coalesce((SELECT max(key) FROM callback_request), 0),
  coalesce((SELECT max(key) FROM event_type_version), 0),
  coalesce((SELECT max(key) FROM event_type_conversion), 0),
  -- What comes next must come after every place.
  coalesce((SELECT max(max(key, place)) FROM listener), 0),
  coalesce((SELECT max(place) FROM consumer), 0)
)
