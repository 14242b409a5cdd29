DELETE FROM {table} WHERE {column} = $1
