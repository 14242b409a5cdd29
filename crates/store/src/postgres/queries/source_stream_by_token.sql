SELECT s.environment, s.application, s.key, s.nonce
FROM source_stream AS t JOIN source AS s ON s.key = t.source
WHERE t.hash = $1
