-- What is sent once more as it was sent first: nothing where nothing is noted of that. An attempt's
-- key is no day before its message's, which spares the partitions of earlier days.
UPDATE delivery AS d SET fixed = convert_to((
  SELECT a.rendering FROM attempt AS a
  WHERE a.shard = $1 AND a.message = d.message AND a.endpoint = d.endpoint AND a.key > d.message - $3
    AND a.rendering IS NOT NULL
  ORDER BY a.key
  LIMIT 1
), 'UTF8')
WHERE d.shard = $1 AND d.key = ANY ($2)
