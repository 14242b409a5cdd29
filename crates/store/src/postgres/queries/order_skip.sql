DELETE FROM delivery AS d
WHERE d.shard = $1 AND d.due_at >= 1::int8 << 53 AND d.message = coalesce($4, d.message) AND d.key = (
  SELECT n.key FROM delivery AS n
  WHERE n.shard = $1 AND n.endpoint = $2 AND n.ordering_key = $3
  ORDER BY n.sequence LIMIT 1
)
RETURNING d.key, d.message
