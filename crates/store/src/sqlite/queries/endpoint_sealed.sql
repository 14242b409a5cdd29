SELECT headers, credentials, transformation, access FROM endpoint WHERE key = ?1
