-- Sources, and the requests that arrived at them.

CREATE TABLE source (
  key         int8 PRIMARY KEY,
  nonce       int8 NOT NULL,
  shard       int4 NOT NULL,      -- of its application
  environment int8 NOT NULL,
  application int8 NOT NULL,      -- the one that it owns
  uid         text,
  name        text NOT NULL,
  provider    text NOT NULL,
  config      text NOT NULL,      -- JSON
  settings    bytea,              -- sealed
  token       bytea NOT NULL,     -- sealed
  armed_until int8,
  metadata    text NOT NULL,      -- JSON object
  created_at  int8 NOT NULL,
  updated_at  int8 NOT NULL
);
CREATE INDEX source_environment ON source (environment, key);
CREATE UNIQUE INDEX source_application ON source (application);
CREATE UNIQUE INDEX source_uid ON source (environment, uid) WHERE uid IS NOT NULL;

CREATE TABLE source_token (
  hash       bytea PRIMARY KEY,
  source     int8 NOT NULL,
  expires_at int8
);
CREATE INDEX source_token_source ON source_token (source);

-- The headers that a message came with and is delivered with: a JSON array of pairs. Beside the
-- payload, as they are needed with it and go with it.
ALTER TABLE content ADD COLUMN headers text;

-- A request that became a message at once has the message's own key, and its headers and body are
-- the message's. Any other has a key, headers and a body of its own; `message` is the one that it
-- repeats, or that it became when it was released. When it was received follows from the key.
CREATE TABLE request (
  shard         int4 NOT NULL,
  key           int8 NOT NULL,
  nonce         int8 NOT NULL,
  environment   int8 NOT NULL,
  application   int8 NOT NULL,
  source        int8 NOT NULL,
  fate          int2 NOT NULL,    -- ringback_domain::source::Fate
  expires_at    int8 NOT NULL,
  message       int8,
  message_nonce int8,
  status        int4 NOT NULL,
  bytes         int8 NOT NULL,
  verdict       text NOT NULL,
  reason        text,
  method        text NOT NULL,
  target        text NOT NULL,
  address       text,
  event_id      text,
  event_type    text,
  headers       text,             -- JSON array of pairs
  body          bytea,
  PRIMARY KEY (shard, source, key)
) PARTITION BY RANGE (key);
ALTER TABLE request ALTER COLUMN body SET STORAGE EXTERNAL;
-- The few that did not become messages: what a list of them and the sweep look through, …
CREATE INDEX request_refused ON request (shard, source, key, fate) WHERE fate <> 0;
CREATE INDEX request_expires ON request (expires_at) WHERE fate <> 0;
-- … and where the keys went on.
CREATE INDEX request_newest ON request (shard, key) WHERE fate <> 0;
-- What else holds the content of a message.
CREATE INDEX request_message ON request (shard, message) WHERE message <> key;
CREATE TABLE request_default PARTITION OF request DEFAULT;
