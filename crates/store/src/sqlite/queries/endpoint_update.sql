UPDATE endpoint SET
  uid = ?2, url = ?3, description = ?4, event_types = ?5, channels = ?6, metadata = ?7,
  throttle_rate = ?8, state = ?9, failing_since = ?10, revision = ?11, updated_at = ?12,
  filter = ?13, sign_as = ?14, delivery = ?15, access_shown = ?16
WHERE key = ?1
