UPDATE oauth_connection SET state = ?2, reason = ?3, version = ?4, sealed = ?5, expires_at = ?6,
  refreshable = ?7, scopes = ?8, account = ?9, lease_holder = ?10, lease_until = ?11, failures = ?12,
  retry_at = ?13, subscriptions = ?14, refreshed_at = ?15
WHERE key = ?1
