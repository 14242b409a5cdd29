-- Whatever is deleted is canceled at once, so the time ($1) does not matter.
WITH canceled AS (
  DELETE FROM delivery AS d USING (
    SELECT pending.shard, pending.key
    FROM endpoint AS e CROSS JOIN LATERAL (
      SELECT delivery.shard, delivery.key FROM delivery
      WHERE delivery.shard = e.shard AND delivery.endpoint = e.key AND attempts >= 0 LIMIT $2
    ) AS pending
    WHERE e.deleted_at IS NOT NULL
    LIMIT $2
  ) AS found
  WHERE d.shard = found.shard AND d.key = found.key
  RETURNING 1
)
SELECT count(*) FROM canceled
