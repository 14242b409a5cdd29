-- One after the other by its key, whatever the statistics say: these are a few of very many.
SELECT a.key, a.routed, e.key, e.event_types, e.channels, e.state, a.hidden, wanted.place,
       e.delivery
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
    WITH ORDINALITY AS wanted (environment, key, nonce, uid, place)
  CROSS JOIN LATERAL (
    SELECT key, routed, hidden FROM application
    WHERE key = wanted.key AND nonce = wanted.nonce AND environment = wanted.environment
      AND deleted_at IS NULL
    UNION ALL
    SELECT key, routed, hidden FROM application
    WHERE uid = wanted.uid AND environment = wanted.environment AND deleted_at IS NULL
    OFFSET 0
  ) AS a
  LEFT JOIN LATERAL (
    SELECT key, event_types, channels, state, delivery FROM endpoint
    WHERE application = a.key AND deleted_at IS NULL
    OFFSET 0
  ) AS e ON true
ORDER BY wanted.place, e.key
