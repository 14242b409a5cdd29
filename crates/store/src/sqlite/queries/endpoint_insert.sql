INSERT INTO endpoint (
  key, nonce, shard, environment, application, uid, url, description, event_types, channels,
  metadata, throttle_rate, state, failing_since, revision, headers, credentials, created_at,
  updated_at, filter, sign_as, delivery, access, access_shown
) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
          ?20, ?21, ?22, ?23)
