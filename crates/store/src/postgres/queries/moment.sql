SELECT pg_database_size(current_database()), (extract(epoch FROM now()) * 1000)::int8
