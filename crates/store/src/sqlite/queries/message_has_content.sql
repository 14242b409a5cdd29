SELECT payload IS NOT NULL FROM message WHERE key = ?1
