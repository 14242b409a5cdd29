-- Nobody deletes it until the transaction ends.
SELECT key FROM oauth_client WHERE key = $1 AND nonce = $2 AND application = $3 FOR KEY SHARE
