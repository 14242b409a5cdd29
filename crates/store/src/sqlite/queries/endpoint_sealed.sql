SELECT headers, credentials, transformation FROM endpoint WHERE key = ?1
