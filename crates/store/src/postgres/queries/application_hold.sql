-- Nobody deletes it until the transaction ends.
SELECT key FROM application WHERE key = $1 AND environment = $2 AND deleted_at IS NULL FOR KEY SHARE
