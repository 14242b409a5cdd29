-- A process that another one has followed does no step.
SELECT FROM task
WHERE key = $1 AND cursor = $2 AND status = 0 AND EXISTS (SELECT FROM node WHERE epoch = $3)
FOR UPDATE
