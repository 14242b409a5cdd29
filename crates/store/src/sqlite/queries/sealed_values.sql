SELECT 0, 0, {key}, {environment}, {owner}, substr({value}, 1, ?5)
FROM {from}
WHERE {key} > ?3 AND {value} IS NOT NULL
ORDER BY {key}
LIMIT ?4
