UPDATE oauth_authorization SET connection = ?2, connection_nonce = ?3, stage = ?4, reason = ?5,
  deadline = ?6, sealed = ?7, settled_at = ?8
WHERE key = ?1
