-- Listeners: places in what arrived, from which somebody reads on; and the event streams of sources.

-- Few rows, and each is written as often as somebody has dealt with something: so `place` and `seen_at`
-- are in no index, and the sweep looks through all of them.
CREATE TABLE listener (
  key         INTEGER PRIMARY KEY,
  nonce       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  name        TEXT NOT NULL,
  terms       TEXT NOT NULL,      -- JSON
  place       INTEGER NOT NULL,   -- the key of the last message that was dealt with
  created_at  INTEGER NOT NULL,
  seen_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX listener_environment ON listener (environment);
CREATE UNIQUE INDEX listener_name ON listener (environment, name);

CREATE TABLE source_stream (
  source     INTEGER PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE,
  sealed     BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
