-- What is still pending keeps its content, in the default partition.
INSERT INTO content (expires_at, shard, message, payload)
SELECT c.expires_at, c.shard, c.message, c.payload
FROM {over} AS c JOIN message AS m ON m.shard = c.shard AND m.key = c.message
WHERE EXISTS (
  SELECT FROM delivery AS d
  WHERE d.shard = m.shard AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
) OR EXISTS (
  SELECT FROM delivery AS d WHERE d.shard = m.shard AND d.message = m.key AND d.trigger = 1
);
