SELECT hidden FROM application WHERE key = ?1
