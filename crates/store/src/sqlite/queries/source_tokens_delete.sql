DELETE FROM source_token WHERE source IN (SELECT key FROM source WHERE application = ?1)
