SELECT key, nonce, uid, url, description, event_types, channels, metadata, throttle_rate, state,
       failing_since, revision, created_at, updated_at, filter, sign_as,
       delivery, access_shown
FROM endpoint WHERE key = $1
