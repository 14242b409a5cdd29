UPDATE callback SET state = ?2, due_at = ?3, expires_at = ?4, seen_at = ?5, taken = ?6, failed = ?7,
  answer = ?8, settled_at = ?9, settled_by = ?10, settled_nonce = ?11, requests = ?12
WHERE key = ?1
