-- Version 8: what receivers get. How an endpoint wants its deliveries, versions of payloads, and
-- deliveries that are made one after the other (ADR 0022).

ALTER TABLE endpoint ADD COLUMN delivery TEXT;             -- JSON, ringback_domain::delivery::Delivery
ALTER TABLE endpoint ADD COLUMN transformation BLOB;       -- sealed
ALTER TABLE endpoint ADD COLUMN access BLOB;               -- sealed
ALTER TABLE endpoint ADD COLUMN access_shown TEXT;         -- JSON, what of it is no secret

-- It was reserved and never written. A column behind the payload would be looked for at the end of all
-- of a large one; whether the schema fits takes no room outside the row's head, so it may stand there.
ALTER TABLE message RENAME COLUMN sequence TO version;
ALTER TABLE message ADD COLUMN fits_schema INTEGER;

ALTER TABLE delivery ADD COLUMN ordering_key TEXT;         -- none where the endpoint keeps no order
ALTER TABLE delivery ADD COLUMN sequence INTEGER;
ALTER TABLE delivery ADD COLUMN fixed BLOB;
CREATE INDEX delivery_order ON delivery (endpoint, ordering_key, sequence)
  WHERE ordering_key IS NOT NULL;

-- Whatever deletes a delivery lets the next one of its order go: it waits 2^52 milliseconds behind the
-- time at which it would be due (src/ordering.rs).
CREATE TRIGGER delivery_order_next AFTER DELETE ON delivery WHEN OLD.ordering_key IS NOT NULL
BEGIN
  UPDATE delivery SET due_at = due_at - 4503599627370496
  WHERE key = (
    SELECT key FROM delivery WHERE endpoint = OLD.endpoint AND ordering_key = OLD.ordering_key
    ORDER BY sequence LIMIT 1
  ) AND due_at >= 4503599627370496 AND due_at < 9007199254740992;
END;

ALTER TABLE attempt ADD COLUMN rendering TEXT;             -- JSON, ringback_domain::delivery::Rendering

ALTER TABLE event_type ADD COLUMN validation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_type ADD COLUMN deliver_original INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_type ADD COLUMN ordering_pointer TEXT;   -- JSON Pointer

CREATE TABLE event_type_version (
  key           INTEGER PRIMARY KEY,
  environment   INTEGER NOT NULL,
  event_type    INTEGER NOT NULL,
  label         TEXT NOT NULL,
  ordinal       INTEGER NOT NULL,
  status        INTEGER NOT NULL,
  dialect       INTEGER NOT NULL,
  schema        TEXT NOT NULL,      -- JSON
  changelog     TEXT NOT NULL,
  examples      TEXT NOT NULL,      -- JSON
  deprecated_at INTEGER,
  sunset_at     INTEGER,
  default_since INTEGER,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_type_version_ordinal ON event_type_version (event_type, ordinal);
CREATE UNIQUE INDEX event_type_version_label ON event_type_version (event_type, label);

-- From a version to the one below it. The newest of an ordinal is in force; none is ever changed.
CREATE TABLE event_type_conversion (
  key         INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL,
  event_type  INTEGER NOT NULL,
  ordinal     INTEGER NOT NULL,
  program     TEXT NOT NULL,        -- JSON
  created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX event_type_conversion_ordinal ON event_type_conversion (event_type, ordinal);
