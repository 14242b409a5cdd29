SELECT key FROM source WHERE key = ?1 AND nonce = ?2 AND environment = ?3
