-- Whoever comes second waits for the first, and finds what that has left.
INSERT INTO callback_meeting (owner, reference, environment) VALUES ($1, $2, $3)
ON CONFLICT (owner, reference) DO UPDATE SET environment = callback_meeting.environment
RETURNING callback, callback_nonce, message, message_nonce, failed, answer, content_type, body,
  forget_at, amount, currency
