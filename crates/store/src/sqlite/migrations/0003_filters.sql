-- Version 3: content filters of endpoints. Nothing that was there is changed.

ALTER TABLE endpoint ADD COLUMN filter TEXT;          -- JSON, ringback_domain::filter
ALTER TABLE endpoint_revision ADD COLUMN filter TEXT;
