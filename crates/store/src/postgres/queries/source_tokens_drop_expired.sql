DELETE FROM source_token WHERE source = $1 AND expires_at <= $2
