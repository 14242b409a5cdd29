SELECT key, environment, application, actor, token, name, role, operation, resources, request, address
FROM audit
WHERE environment = $1 AND key > $2 AND key < $3 {filter}
ORDER BY key {direction}
LIMIT $6
