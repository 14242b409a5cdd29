-- Version 2: sources, and what arrived at them. Nothing that was there is changed.

CREATE TABLE source (
  key         INTEGER PRIMARY KEY,
  nonce       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  application INTEGER NOT NULL,
  uid         TEXT,
  name        TEXT NOT NULL,
  provider    TEXT NOT NULL,
  config      TEXT NOT NULL,      -- JSON
  settings    BLOB,               -- sealed
  token       BLOB NOT NULL,      -- sealed
  armed_until INTEGER,
  metadata    TEXT NOT NULL,      -- JSON object
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX source_environment ON source (environment);
CREATE UNIQUE INDEX source_application ON source (application);
CREATE UNIQUE INDEX source_uid ON source (environment, uid) WHERE uid IS NOT NULL;

CREATE TABLE source_token (
  hash       BLOB PRIMARY KEY,
  source     INTEGER NOT NULL,
  expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX source_token_source ON source_token (source);

-- A request that became a message at once has the message's own key, and its headers and body are
-- the message's. Any other has a key, headers and a body of its own; `message` is the one that it
-- repeats, or that it became when it was released. `received_at` follows from the key.
CREATE TABLE request (
  key           INTEGER PRIMARY KEY,
  nonce         INTEGER NOT NULL,
  environment   INTEGER NOT NULL,
  application   INTEGER NOT NULL,
  source        INTEGER NOT NULL,
  fate          INTEGER NOT NULL, -- ringback_domain::source::Fate
  expires_at    INTEGER NOT NULL,
  message       INTEGER,
  message_nonce INTEGER,
  status        INTEGER NOT NULL,
  bytes         INTEGER NOT NULL,
  verdict       TEXT NOT NULL,
  reason        TEXT,
  method        TEXT NOT NULL,
  target        TEXT NOT NULL,
  address       TEXT,
  event_id      TEXT,
  event_type    TEXT,
  headers       TEXT,             -- JSON array of pairs
  body          BLOB
) STRICT;
CREATE INDEX request_source ON request (source);
-- What did not become a message: the few that a filter by fate and the sweep look through.
CREATE INDEX request_refused ON request (source, key, fate, expires_at) WHERE fate <> 0;
-- What repeats a message, or became one later than it arrived: its body goes with the message's.
CREATE INDEX request_message ON request (message) WHERE message <> key;
