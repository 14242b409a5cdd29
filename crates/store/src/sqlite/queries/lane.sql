SELECT e.environment, e.application, a.nonce, a.uid
FROM endpoint AS e JOIN application AS a ON a.key = e.application
WHERE e.key = ?1
