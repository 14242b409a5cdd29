DELETE FROM source WHERE application = ?1
