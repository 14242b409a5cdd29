EXISTS (SELECT FROM attempt AS a WHERE a.shard = $1 AND a.message = m.key AND {after} AND a.outcome = 0)
