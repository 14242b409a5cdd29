DELETE FROM source_stream WHERE source IN (SELECT key FROM source WHERE application = ?1)
