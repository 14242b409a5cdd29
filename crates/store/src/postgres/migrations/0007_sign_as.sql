-- Whose style deliveries to an endpoint are signed in. Nothing that was there is changed.

ALTER TABLE endpoint ADD COLUMN sign_as text;          -- a provider's id
