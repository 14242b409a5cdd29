-- Version 1. Keys grow with time (see ringback_domain::id), so every insert of the hot path goes
-- to the right edge of its tree. Columns that are NULL today cost a byte and belong to what comes
-- next: ordering_key and sequence (ordered endpoints), payload_ref (large bodies), shard (several
-- nodes).

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environment (
  key        INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
  key         INTEGER PRIMARY KEY,
  nonce       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  hash        BLOB NOT NULL UNIQUE,
  hint        TEXT NOT NULL,
  name        TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER,
  revoked_at  INTEGER,
  role        INTEGER NOT NULL,   -- ringback_domain::access::Role
  application INTEGER,
  capabilities INTEGER NOT NULL,  -- ringback_domain::access::Capabilities
  flags       TEXT,               -- JSON array
  session     TEXT
) STRICT;
CREATE INDEX token_application ON token (application) WHERE application IS NOT NULL;
-- What the sweep takes away: tokens of portals come and go.
CREATE INDEX token_portal ON token (expires_at) WHERE role = 4;

CREATE TABLE application (
  key           INTEGER PRIMARY KEY,
  nonce         INTEGER NOT NULL,
  shard         INTEGER NOT NULL,
  environment   INTEGER NOT NULL,
  hidden        INTEGER NOT NULL,
  uid           TEXT,
  name          TEXT NOT NULL,
  metadata      TEXT NOT NULL,
  throttle_rate INTEGER,
  quota         TEXT,             -- JSON, ringback_domain::quota::Quota
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  deleted_at    INTEGER
) STRICT;
CREATE INDEX application_quota ON application (key)
  WHERE quota IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX application_environment ON application (environment) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_uid ON application (environment, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE endpoint (
  key           INTEGER PRIMARY KEY,
  nonce         INTEGER NOT NULL,
  shard         INTEGER NOT NULL,
  environment   INTEGER NOT NULL,
  application   INTEGER NOT NULL,
  uid           TEXT,
  url           TEXT NOT NULL,
  description   TEXT NOT NULL,
  event_types   TEXT,             -- JSON array
  channels      TEXT,             -- JSON array
  metadata      TEXT NOT NULL,    -- JSON object
  throttle_rate INTEGER,
  state         INTEGER NOT NULL, -- ringback_domain::endpoint::State
  failing_since INTEGER,
  revision      INTEGER NOT NULL,
  headers       BLOB,             -- sealed
  credentials   BLOB,             -- sealed
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  deleted_at    INTEGER
) STRICT;
CREATE INDEX endpoint_application ON endpoint (application);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (application, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What decided which messages an endpoint got, from this key on: the verdict on a message follows
-- from the revision with the greatest key below the message's. Attempts name the revision whose
-- URL they went to.
CREATE TABLE endpoint_revision (
  key         INTEGER PRIMARY KEY,
  endpoint    INTEGER NOT NULL,
  url         TEXT NOT NULL,
  event_types TEXT,
  channels    TEXT,
  state       INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoint_revision_endpoint ON endpoint_revision (endpoint);

CREATE TABLE endpoint_secret (
  key        INTEGER PRIMARY KEY,
  endpoint   INTEGER NOT NULL,
  sealed     BLOB NOT NULL,
  expires_at INTEGER
) STRICT;
CREATE INDEX endpoint_secret_endpoint ON endpoint_secret (endpoint);

CREATE TABLE event_type (
  key          INTEGER PRIMARY KEY,
  nonce        INTEGER NOT NULL,
  environment  INTEGER NOT NULL,
  name         TEXT NOT NULL,
  description  TEXT NOT NULL,
  schemas      TEXT,
  archived     INTEGER NOT NULL,
  deprecated   INTEGER NOT NULL,
  feature_flag TEXT,
  group_name   TEXT,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_type_name ON event_type (environment, name);

-- The deliveries of a message have the keys right after its own: key + 1 … key + fanout.
CREATE TABLE message (
  key          INTEGER PRIMARY KEY,
  nonce        INTEGER NOT NULL,
  shard        INTEGER NOT NULL,
  environment  INTEGER NOT NULL,
  application  INTEGER NOT NULL,
  origin       INTEGER NOT NULL,  -- ringback_domain::message::Origin
  fanout       INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  event_type   TEXT NOT NULL,
  event_id     TEXT,
  channels     TEXT,              -- JSON array
  tags         TEXT,              -- JSON array
  ordering_key TEXT,
  sequence     INTEGER,
  content_type TEXT,
  headers      TEXT,
  payload_ref  TEXT,
  payload      BLOB
) STRICT;
CREATE INDEX message_application ON message (application);
CREATE UNIQUE INDEX message_event_id ON message (application, event_id)
  WHERE event_id IS NOT NULL;

-- Only what is pending has a row: settling a delivery deletes it.
CREATE TABLE delivery (
  key         INTEGER PRIMARY KEY,
  message     INTEGER NOT NULL,
  shard       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  application INTEGER NOT NULL,
  endpoint    INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  trigger     INTEGER NOT NULL,
  due_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_due ON delivery (endpoint, due_at);
-- The few deliveries that somebody asked for are found from their message, as their keys do not
-- follow it.
CREATE INDEX delivery_manual ON delivery (message) WHERE trigger = 1;

CREATE TABLE attempt (
  key         INTEGER PRIMARY KEY,
  nonce       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  application INTEGER NOT NULL,
  message     INTEGER NOT NULL,
  endpoint    INTEGER NOT NULL,
  revision    INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  trigger     INTEGER NOT NULL,   -- ringback_domain::attempt::Trigger
  outcome     INTEGER NOT NULL,   -- ringback_domain::attempt::Outcome
  status_code INTEGER NOT NULL,
  failed      INTEGER,            -- ringback_domain::attempt::Phase
  reason      TEXT,
  next_at     INTEGER,
  timings     BLOB NOT NULL,      -- six u32 of microseconds, little-endian
  response    BLOB NOT NULL
) STRICT;
-- With the endpoint: how far a message is at one of thousands is a look-up.
CREATE INDEX attempt_message ON attempt (message, endpoint);
CREATE INDEX attempt_endpoint ON attempt (endpoint);

-- Idempotency claims, appended in the order of their making and found through an index in memory
-- (see claims.rs): a B-tree over random keys would cost the accept path 40 %. For a message the
-- key is the message's own, and the answer follows from the message.
CREATE TABLE claim (
  key         INTEGER PRIMARY KEY,
  fingerprint BLOB NOT NULL,
  body        BLOB NOT NULL,
  expires_at  INTEGER NOT NULL,
  status      INTEGER,
  answer      BLOB
) STRICT;

-- Who changed what: an entry is written in the transaction of its change.
CREATE TABLE audit (
  key         INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL,
  application INTEGER,
  actor       INTEGER NOT NULL,   -- ringback_store::Actor
  token       TEXT,
  name        TEXT,
  role        INTEGER,            -- ringback_domain::access::Role
  operation   TEXT NOT NULL,
  resources   TEXT NOT NULL,      -- JSON object
  request     TEXT,
  address     TEXT
) STRICT;
CREATE INDEX audit_environment ON audit (environment);
CREATE INDEX audit_operation ON audit (environment, operation);
CREATE INDEX audit_application ON audit (environment, application);
CREATE INDEX audit_both ON audit (environment, application, operation);

-- Work in the background. Every key up to the cursor is done; a step moves the cursor in the same
-- transaction.
CREATE TABLE task (
  key         INTEGER PRIMARY KEY,
  nonce       INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  application INTEGER,
  endpoint    INTEGER,
  kind        INTEGER NOT NULL,   -- ringback_domain::task::Kind
  status      INTEGER NOT NULL,   -- ringback_domain::task::Status
  request     TEXT NOT NULL,      -- JSON
  data        TEXT NOT NULL,      -- JSON object
  first       INTEGER NOT NULL,
  cursor      INTEGER NOT NULL,
  ends        INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX task_environment ON task (environment);
CREATE INDEX task_running ON task (key) WHERE status = 0;
