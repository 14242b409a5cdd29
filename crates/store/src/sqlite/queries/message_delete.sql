DELETE FROM message
WHERE key = ?1 AND expires_at <= ?2
  AND NOT EXISTS (
    SELECT 1 FROM delivery AS d
    WHERE d.key > ?1 AND d.key <= ?1 + message.fanout AND d.message = ?1
  )
  AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.message = ?1 AND d.trigger = 1)
