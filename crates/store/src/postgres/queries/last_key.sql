-- What came after the key that was noted at the last orderly end. Shard by shard, as the shard
-- leads the index.
SELECT max(key) FROM (
  SELECT newest.key FROM generate_series(0, $2 - 1) AS s (shard) CROSS JOIN LATERAL (
    SELECT key + fanout AS key FROM message
    WHERE message.shard = s.shard AND message.key > $1 ORDER BY message.key DESC LIMIT 1
  ) AS newest
  UNION ALL
  SELECT newest.key FROM generate_series(0, $2 - 1) AS s (shard) CROSS JOIN LATERAL (
    SELECT key FROM delivery
    WHERE delivery.shard = s.shard AND delivery.key > $1 ORDER BY delivery.key DESC LIMIT 1
  ) AS newest
  UNION ALL
  -- One that is a message has the message's key.
  SELECT newest.key FROM generate_series(0, $2 - 1) AS s (shard) CROSS JOIN LATERAL (
    SELECT key FROM request
    WHERE request.shard = s.shard AND request.key > $1 AND fate <> 0 ORDER BY request.key DESC LIMIT 1
  ) AS newest
  UNION ALL SELECT max(key) FROM endpoint_secret
  UNION ALL SELECT max(key) FROM endpoint_revision
  UNION ALL SELECT max(routed) FROM application
  UNION ALL SELECT max(key) FROM environment
  UNION ALL SELECT max(key) FROM audit
  UNION ALL SELECT max(key) FROM callback_request
  UNION ALL SELECT max(key) FROM event_type_version
  UNION ALL SELECT max(key) FROM event_type_conversion
  -- What comes next must come after every place.
  UNION ALL SELECT max(greatest(key, place)) FROM listener
  UNION ALL SELECT max(place) FROM consumer
) AS keys
