-- Consumers: how far those are who read an endpoint instead of being sent to.

-- Few rows, and each is written as often as somebody acknowledges: so `place` and `seen_at` are in no
-- index, and the sweep looks through all of them.
CREATE TABLE consumer (
  endpoint   INTEGER NOT NULL,
  name       TEXT NOT NULL,
  place      INTEGER NOT NULL,   -- the key of the last message that was acknowledged
  turn       INTEGER NOT NULL,   -- how often it was moved by hand
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  PRIMARY KEY (endpoint, name)
) STRICT, WITHOUT ROWID;
