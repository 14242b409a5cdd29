-- The days of which the target's partitions are made, by the column that divides each table.
SELECT 'message', (key >> 20) / 86400000 FROM message
UNION SELECT 'attempt', (key >> 20) / 86400000 FROM attempt
UNION SELECT 'content', expires_at / 86400000 FROM message WHERE payload IS NOT NULL
UNION SELECT 'claim', expires_at / 86400000 FROM claim
UNION SELECT 'request', (key >> 20) / 86400000 FROM request
