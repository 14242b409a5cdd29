SELECT a.key, a.message FROM {attempt} AS a WHERE {where}
