-- Listeners: places in what arrived, from which somebody reads on; and the event streams of sources.

-- Few rows, and each is written as often as somebody has dealt with something: so `place` and `seen_at`
-- are in no index, a new version of a row stays in its page, and the sweep looks through all of them.
CREATE TABLE listener (
  key         int8 PRIMARY KEY,
  nonce       int8 NOT NULL,
  environment int8 NOT NULL,
  name        text NOT NULL,
  terms       text NOT NULL,      -- JSON
  place       int8 NOT NULL,      -- the key of the last message that was dealt with
  created_at  int8 NOT NULL,
  seen_at     int8 NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX listener_environment ON listener (environment, key);
CREATE UNIQUE INDEX listener_name ON listener (environment, name);

CREATE TABLE source_stream (
  source     int8 PRIMARY KEY,
  hash       bytea NOT NULL UNIQUE,
  sealed     bytea NOT NULL,
  created_at int8 NOT NULL
);
