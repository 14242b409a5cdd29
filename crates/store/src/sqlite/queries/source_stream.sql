SELECT sealed, created_at FROM source_stream WHERE source = ?1
