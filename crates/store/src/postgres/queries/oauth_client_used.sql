SELECT EXISTS (SELECT 1 FROM oauth_connection WHERE client = $1)
