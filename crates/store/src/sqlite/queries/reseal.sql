UPDATE {table} SET {value} = ?5 WHERE {own_key} = ?3 AND {value} = ?4
