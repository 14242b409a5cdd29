DELETE FROM source_stream WHERE source = ?1
