-- Whatever is deleted is canceled at once, so the time ($1) does not matter.
WITH found AS MATERIALIZED (
  SELECT pending.shard, pending.key, pending.endpoint, pending.ordering_key
  FROM endpoint AS e CROSS JOIN LATERAL (
    SELECT d.shard, d.key, d.endpoint, d.ordering_key FROM delivery AS d
    WHERE d.shard = e.shard AND d.endpoint = e.key AND d.attempts >= 0 LIMIT $2
  ) AS pending
  WHERE e.deleted_at IS NOT NULL
  LIMIT $2
), held AS MATERIALIZED (
  -- Before any of them is locked, as whoever records an attempt does (see order.rs).
  SELECT order_hold(array_agg(DISTINCT endpoint)) FROM found WHERE ordering_key IS NOT NULL
), canceled AS (
  DELETE FROM delivery AS d USING held CROSS JOIN found
  WHERE d.shard = found.shard AND d.key = found.key
  RETURNING 1
)
SELECT count(*) FROM canceled
