DELETE FROM message_event_id AS v USING {over} AS m
WHERE m.event_id IS NOT NULL AND v.shard = m.shard AND v.application = m.application
  AND v.event_id = m.event_id AND v.message = m.key;
