-- An attempt is never before its message, and a delivery never due before it.
WITH attempted AS MATERIALIZED (
  SELECT message, bool_or(outcome IN (0, 5)) AS succeeded FROM attempt
  WHERE shard = $1 AND endpoint = $2 AND key >= $3 AND message >= $3 AND message < $4
  GROUP BY message
), open AS MATERIALIZED (
  SELECT DISTINCT message FROM delivery
  WHERE shard = $1 AND endpoint = $2 AND due_at >= $5 AND attempts >= 0 AND message >= $3 AND message < $4
)
SELECT count(*) FILTER (WHERE a.succeeded),
       count(*) FILTER (WHERE a.message IS NULL),
       count(*) FILTER (WHERE NOT a.succeeded AND o.message IS NOT NULL),
       count(*) FILTER (WHERE NOT a.succeeded AND o.message IS NULL)
FROM attempted AS a FULL JOIN open AS o ON o.message = a.message
