SELECT EXISTS (SELECT 1 FROM oauth_client WHERE key = ?1 AND nonce = ?2 AND application = ?3)
