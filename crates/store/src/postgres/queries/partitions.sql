SELECT child.relname::text
FROM pg_inherits
  JOIN pg_class AS parent ON parent.oid = inhparent
  JOIN pg_class AS child ON child.oid = inhrelid
WHERE parent.relname IN ('message', 'attempt', 'content', 'claim', 'request')
  AND parent.relnamespace = current_schema()::regnamespace AND child.relkind = 'r'
