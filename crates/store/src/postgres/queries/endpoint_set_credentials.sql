UPDATE endpoint SET credentials = $2 WHERE key = $1
