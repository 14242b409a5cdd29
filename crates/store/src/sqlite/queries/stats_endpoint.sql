-- An attempt is never before its message, and a delivery never due before it.
WITH attempted AS MATERIALIZED (
  SELECT message, max(outcome IN (0, 5)) AS succeeded FROM attempt
  WHERE endpoint = ?1 AND key >= ?2 AND message >= ?2 AND message < ?3
  GROUP BY message
), open AS MATERIALIZED (
  SELECT DISTINCT message FROM delivery
  WHERE endpoint = ?1 AND due_at >= ?4 AND message >= ?2 AND message < ?3
)
SELECT (SELECT count(*) FROM attempted WHERE succeeded),
       (SELECT count(*) FROM open WHERE message NOT IN (SELECT message FROM attempted)),
       (SELECT count(*) FROM attempted
        WHERE NOT succeeded AND message IN (SELECT message FROM open)),
       (SELECT count(*) FROM attempted
        WHERE NOT succeeded AND message NOT IN (SELECT message FROM open))
