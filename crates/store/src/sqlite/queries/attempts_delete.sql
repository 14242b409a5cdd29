DELETE FROM attempt WHERE message = ?1
