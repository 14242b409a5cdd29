-- What is sent once more as it was sent first: nothing where nothing is noted of that.
UPDATE delivery SET fixed = CAST((
  SELECT a.rendering FROM attempt AS a
  WHERE a.message = delivery.message AND +a.endpoint = delivery.endpoint AND a.rendering IS NOT NULL
  ORDER BY a.key
  LIMIT 1
) AS BLOB)
WHERE key = ?1
