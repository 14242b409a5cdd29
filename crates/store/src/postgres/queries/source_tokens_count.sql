SELECT count(*) FROM source_token WHERE source = $1
