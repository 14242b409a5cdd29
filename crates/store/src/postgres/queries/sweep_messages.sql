WITH expired AS (
  SELECT m.shard, m.key FROM message_default AS m
  WHERE m.expires_at <= $1
    AND NOT EXISTS (
      SELECT FROM delivery AS d
      WHERE d.shard = m.shard AND d.key > m.key AND d.key <= m.key + m.fanout AND d.message = m.key
    )
    AND NOT EXISTS (
      SELECT FROM delivery AS d WHERE d.shard = m.shard AND d.message = m.key AND d.trigger = 1
    )
  LIMIT $2
), gone AS (
  DELETE FROM message AS m USING expired AS e WHERE m.shard = e.shard AND m.key = e.key
  RETURNING m.shard, m.key, m.application, m.event_id, m.expires_at
), contents AS (
  DELETE FROM content AS c USING gone AS g
  WHERE c.shard = g.shard AND c.message = g.key AND c.expires_at = g.expires_at
), attempts AS (
  DELETE FROM attempt AS a USING gone AS g WHERE a.shard = g.shard AND a.message = g.key
), event_ids AS (
  DELETE FROM message_event_id AS v USING gone AS g
  WHERE v.shard = g.shard AND v.application = g.application AND v.event_id = g.event_id
    AND v.message = g.key
)
SELECT count(*) FROM gone
