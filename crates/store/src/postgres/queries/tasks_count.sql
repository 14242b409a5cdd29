SELECT count(*) FROM task WHERE environment = $1 AND status = 0
