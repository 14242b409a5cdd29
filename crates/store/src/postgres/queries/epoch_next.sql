UPDATE node SET epoch = epoch + 1 RETURNING epoch, last_key, last_attempt
