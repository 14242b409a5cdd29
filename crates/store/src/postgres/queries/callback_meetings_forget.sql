DELETE FROM callback_meeting WHERE (owner, reference) IN (
  SELECT owner, reference FROM callback_meeting WHERE forget_at <= $1 ORDER BY forget_at LIMIT $2
)
