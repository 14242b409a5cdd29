SELECT headers, credentials FROM endpoint WHERE key = ?1
