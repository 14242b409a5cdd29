-- Consumers: how far those are who read an endpoint instead of being sent to.

-- Few rows, and each is written as often as somebody acknowledges: so `place` and `seen_at` are in no
-- index, a new version of a row stays in its page, and the sweep looks through all of them.
CREATE TABLE consumer (
  endpoint   int8 NOT NULL,
  name       text NOT NULL,
  place      int8 NOT NULL,   -- the key of the last message that was acknowledged
  turn       int8 NOT NULL,   -- how often it was moved by hand
  created_at int8 NOT NULL,
  seen_at    int8 NOT NULL,
  PRIMARY KEY (endpoint, name)
) WITH (fillfactor = 50);
