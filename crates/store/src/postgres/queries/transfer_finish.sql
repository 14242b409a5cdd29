UPDATE node SET
  epoch = greatest(epoch, $1), last_key = greatest(last_key, $2),
  last_attempt = greatest(last_attempt, $3), copying = false
