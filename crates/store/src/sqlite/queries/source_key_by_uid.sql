SELECT key FROM source WHERE environment = ?1 AND uid = ?2
