UPDATE application SET quota = $2 WHERE key = $1
