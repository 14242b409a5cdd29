SELECT EXISTS (
  SELECT 1 FROM source WHERE key = ?1 AND environment = ?2 AND application = ?3
)
