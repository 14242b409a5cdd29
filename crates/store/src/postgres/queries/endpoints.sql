SELECT key, nonce, uid, url, description, event_types, channels, metadata, throttle_rate, state,
       failing_since, revision, created_at, updated_at, filter, sign_as,
       delivery, access_shown
FROM endpoint
WHERE application = $1 AND environment = $2 AND deleted_at IS NULL AND key > $3 AND key < $4
  AND ($6 IS NULL OR (url LIKE 'http://%' OR url LIKE 'https://%') <> $6)
ORDER BY key {direction}
LIMIT $5
