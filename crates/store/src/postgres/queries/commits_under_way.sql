-- Statements of ours that commit messages: a batch by itself (append.sql), or the end of a transaction.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND state = 'active' AND pid <> pg_backend_pid()
  AND query_start < now() - interval '2 seconds'
  AND (query LIKE 'SELECT stale, first, same_body, taken FROM append\_%' OR query = 'COMMIT')
