-- Jumps from source to source through the index of what did not become a message.
WITH RECURSIVE refusing (source) AS (
  SELECT min(source) FROM request INDEXED BY request_refused WHERE fate <> 0 AND source > ?1
  UNION ALL
  SELECT (
    SELECT min(r.source) FROM request AS r INDEXED BY request_refused
    WHERE r.fate <> 0 AND r.source > refusing.source
  )
  FROM refusing WHERE refusing.source IS NOT NULL
)
SELECT source FROM refusing WHERE source IS NOT NULL LIMIT ?2
