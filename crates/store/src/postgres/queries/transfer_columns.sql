-- The tables that hold an installation, partitions apart, with their columns. Places in orders go on from
-- the keys, which are greater than all that were given.
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relname NOT IN ('schema_version', 'node', 'ordering')
ORDER BY c.relname, a.attnum
