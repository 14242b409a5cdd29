WITH emptied AS (
  SELECT key, fanout, expires_at FROM message WHERE shard = $1 AND key = ANY ($2)
), contents AS (
  DELETE FROM content AS c USING emptied AS e
  WHERE c.shard = $1 AND c.message = e.key AND c.expires_at = e.expires_at
), requests AS (
  UPDATE request SET headers = NULL, body = NULL
  WHERE shard = $1 AND message = ANY ($2) AND message <> key
), scheduled AS (
  DELETE FROM delivery AS d USING emptied AS e
  WHERE d.shard = $1 AND d.key > e.key AND d.key <= e.key + e.fanout AND d.message = e.key
  RETURNING d.key, d.endpoint
), manual AS (
  DELETE FROM delivery AS d WHERE d.shard = $1 AND d.message = ANY ($2) AND d.trigger = 1
  RETURNING d.key, d.endpoint
)
SELECT key, endpoint FROM scheduled UNION ALL SELECT key, endpoint FROM manual
