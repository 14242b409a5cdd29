UPDATE node SET epoch = epoch + 1 WHERE NOT copying RETURNING epoch, last_key, last_attempt
