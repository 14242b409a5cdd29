SELECT EXISTS (
  SELECT FROM content
  WHERE shard = $1 AND message = $2
    AND expires_at = (SELECT expires_at FROM message WHERE shard = $1 AND key = $2)
)
