DELETE FROM delivery
WHERE due_at >= 9007199254740992 AND key = (
  SELECT key FROM delivery WHERE endpoint = ?1 AND ordering_key = ?2 ORDER BY sequence LIMIT 1
) AND message = coalesce(?3, message)
RETURNING key, message
