INSERT INTO audit (
  key, environment, application, actor, token, name, role, operation, resources, request, address
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
