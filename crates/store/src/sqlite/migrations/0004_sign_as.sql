-- Version 4: whose style deliveries to an endpoint are signed in. Nothing that was there is changed.

ALTER TABLE endpoint ADD COLUMN sign_as TEXT;          -- a provider's id
