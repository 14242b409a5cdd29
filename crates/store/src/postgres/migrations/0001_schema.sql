-- Version 1. The tables of the hot path lead with the shard, a function of the application, so an
-- append touches one shard; inside it keys grow with time (see ringback_domain::id). They are only
-- inserted into, save `delivery`, whose rows go when they are settled (ADR 0012). What is kept for
-- a while is partitioned by time and dropped whole.

CREATE TABLE meta (
  name  text PRIMARY KEY,
  value bytea NOT NULL
);

-- The process that works on this database. Whoever starts next takes a greater epoch; results that
-- carry a smaller one change nothing.
CREATE TABLE node (
  only_one     boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  epoch        int8 NOT NULL,
  last_key     int8 NOT NULL,
  last_attempt int8 NOT NULL,
  -- An installation is being copied into this database, or was and the copy did not finish.
  copying      boolean NOT NULL DEFAULT false
);
INSERT INTO node (epoch, last_key, last_attempt) VALUES (0, 0, 0);

CREATE TABLE environment (
  key        int8 PRIMARY KEY,
  name       text NOT NULL UNIQUE,
  created_at int8 NOT NULL
);

CREATE TABLE token (
  key         int8 PRIMARY KEY,
  nonce       int8 NOT NULL,
  environment int8 NOT NULL,
  hash        bytea NOT NULL UNIQUE,
  hint        text NOT NULL,
  name        text NOT NULL,
  created_at  int8 NOT NULL,
  expires_at  int8,
  revoked_at  int8,
  role        int8 NOT NULL,      -- ringback_domain::access::Role
  application int8,
  capabilities int8 NOT NULL,     -- ringback_domain::access::Capabilities
  flags       text,               -- JSON array
  session     text
);
CREATE INDEX token_application ON token (application) WHERE application IS NOT NULL;
-- What the sweep takes away: tokens of portals come and go.
CREATE INDEX token_portal ON token (expires_at) WHERE role = 4;

-- `routed` is the newest revision among the application's endpoints: an append says which one it
-- knew, and is refused if there is a newer one.
CREATE TABLE application (
  key           int8 PRIMARY KEY,
  nonce         int8 NOT NULL,
  shard         int4 NOT NULL,
  environment   int8 NOT NULL,
  hidden        boolean NOT NULL,
  uid           text,
  name          text NOT NULL,
  metadata      text NOT NULL,
  throttle_rate int8,
  quota         text,             -- JSON, ringback_domain::quota::Quota
  routed        int8 NOT NULL DEFAULT 0,
  created_at    int8 NOT NULL,
  updated_at    int8 NOT NULL,
  deleted_at    int8
);
CREATE INDEX application_quota ON application (key)
  WHERE quota IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX application_environment ON application (environment, key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_uid ON application (environment, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE endpoint (
  key           int8 PRIMARY KEY,
  nonce         int8 NOT NULL,
  shard         int4 NOT NULL,
  environment   int8 NOT NULL,
  application   int8 NOT NULL,
  uid           text,
  url           text NOT NULL,
  description   text NOT NULL,
  event_types   text,             -- JSON array
  channels      text,             -- JSON array
  metadata      text NOT NULL,    -- JSON object
  throttle_rate int8,
  state         int2 NOT NULL,    -- ringback_domain::endpoint::State
  failing_since int8,
  revision      int8 NOT NULL,
  headers       bytea,            -- sealed
  credentials   bytea,            -- sealed
  created_at    int8 NOT NULL,
  updated_at    int8 NOT NULL,
  deleted_at    int8
);
CREATE INDEX endpoint_application ON endpoint (application, key);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (application, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What decided which messages an endpoint got, from this key on: the verdict on a message follows
-- from the revision with the greatest key up to what the message's append knew (message.routed).
CREATE TABLE endpoint_revision (
  key         int8 PRIMARY KEY,
  endpoint    int8 NOT NULL,
  url         text NOT NULL,
  event_types text,
  channels    text,
  state       int2 NOT NULL
);
CREATE INDEX endpoint_revision_endpoint ON endpoint_revision (endpoint, key);

CREATE TABLE endpoint_secret (
  key        int8 PRIMARY KEY,
  endpoint   int8 NOT NULL,
  sealed     bytea NOT NULL,
  expires_at int8
);
CREATE INDEX endpoint_secret_endpoint ON endpoint_secret (endpoint, key);

CREATE TABLE event_type (
  key          int8 PRIMARY KEY,
  nonce        int8 NOT NULL,
  environment  int8 NOT NULL,
  name         text NOT NULL,
  description  text NOT NULL,
  schemas      text,
  archived     boolean NOT NULL,
  deprecated   boolean NOT NULL,
  feature_flag text,
  group_name   text,
  created_at   int8 NOT NULL,
  updated_at   int8 NOT NULL
);
-- Names are compared byte by byte, as the embedded store does.
CREATE UNIQUE INDEX event_type_name ON event_type (environment, name COLLATE "C");

-- The deliveries of a message have the keys right after its own: key + 1 … key + fanout.
CREATE TABLE message (
  shard        int4 NOT NULL,
  key          int8 NOT NULL,
  nonce        int8 NOT NULL,
  environment  int8 NOT NULL,
  application  int8 NOT NULL,
  origin       int2 NOT NULL,     -- ringback_domain::message::Origin
  fanout       int4 NOT NULL,
  routed       int8 NOT NULL,
  expires_at   int8 NOT NULL,
  event_type   text NOT NULL,
  event_id     text,
  channels     jsonb,
  tags         jsonb,
  content_type text,
  PRIMARY KEY (shard, key)
) PARTITION BY RANGE (key);
CREATE INDEX message_application ON message (shard, application, key);
CREATE TABLE message_default PARTITION OF message DEFAULT;

-- Apart from their messages, because it goes on the day it expires and lists need not read it.
CREATE TABLE content (
  expires_at int8 NOT NULL,
  shard      int4 NOT NULL,
  message    int8 NOT NULL,
  payload    bytea NOT NULL,
  PRIMARY KEY (shard, message, expires_at)
) PARTITION BY RANGE (expires_at);
-- Compressing would cost more than it saves: most are small, and those who send large ones can.
ALTER TABLE content ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE content_default PARTITION OF content DEFAULT;
-- What the sweep takes away.
CREATE INDEX content_default_expires ON content_default (expires_at);

CREATE TABLE message_event_id (
  shard       int4 NOT NULL,
  application int8 NOT NULL,
  event_id    text NOT NULL,
  message     int8 NOT NULL,
  PRIMARY KEY (shard, application, event_id)
);

-- Only what is pending has a row: settling a delivery deletes it.
CREATE TABLE delivery (
  shard       int4 NOT NULL,
  key         int8 NOT NULL,
  message     int8 NOT NULL,
  environment int8 NOT NULL,
  application int8 NOT NULL,
  endpoint    int8 NOT NULL,
  epoch       int8 NOT NULL,
  attempts    int4 NOT NULL,
  trigger     int2 NOT NULL,
  due_at      int8 NOT NULL,
  PRIMARY KEY (shard, key)
) WITH (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_cost_delay = 0
);
-- Its condition always holds. It keeps the index for those who name it: a delivery that is looked for
-- by its key must never be found by walking all of its shard or endpoint here, which is what the
-- planner thinks as cheap when it believes the table to be empty.
CREATE INDEX delivery_due ON delivery (shard, endpoint, due_at, key) WHERE attempts >= 0;
-- The few deliveries that somebody asked for are found from their message, as their keys do not
-- follow it.
CREATE INDEX delivery_manual ON delivery (shard, message) WHERE trigger = 1;

CREATE TABLE attempt (
  shard       int4 NOT NULL,
  key         int8 NOT NULL,
  nonce       int8 NOT NULL,
  environment int8 NOT NULL,
  application int8 NOT NULL,
  message     int8 NOT NULL,
  endpoint    int8 NOT NULL,
  revision    int8 NOT NULL,
  epoch       int8 NOT NULL,
  number      int4 NOT NULL,
  trigger     int2 NOT NULL,      -- ringback_domain::attempt::Trigger
  outcome     int2 NOT NULL,      -- ringback_domain::attempt::Outcome
  status_code int4 NOT NULL,
  failed      int2,               -- ringback_domain::attempt::Phase
  reason      text,
  next_at     int8,
  timings     bytea NOT NULL,     -- six u32 of microseconds, little-endian
  response    bytea NOT NULL,
  PRIMARY KEY (shard, key)
) PARTITION BY RANGE (key);
-- With the endpoint: how far a message is at one of thousands is a look-up. With the outcome: a page
-- that is filtered by it reads the index alone.
CREATE INDEX attempt_message ON attempt (shard, message, endpoint, key) INCLUDE (outcome);
CREATE INDEX attempt_endpoint ON attempt (shard, endpoint, key);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;

-- Idempotency claims. `bucket` is the hour (for a key that lives an hour) or the day (for one that
-- lives a day) in which the claim ends, in hours, so a claim is looked for in two buckets, and a
-- bucket is dropped when it is over. For a message the key is the message's own, and the answer
-- follows from the message.
CREATE TABLE claim (
  shard       int4 NOT NULL,
  bucket      int8 NOT NULL,
  fingerprint bytea NOT NULL,
  key         int8 NOT NULL,
  body        bytea NOT NULL,
  expires_at  int8 NOT NULL,
  status      int4,
  answer      bytea,
  PRIMARY KEY (shard, bucket, fingerprint)
) PARTITION BY RANGE (bucket);
CREATE TABLE claim_default PARTITION OF claim DEFAULT;

-- Who changed what: an entry is written in the transaction of its change.
CREATE TABLE audit (
  key         int8 PRIMARY KEY,
  environment int8 NOT NULL,
  application int8,
  actor       int8 NOT NULL,      -- ringback_store::Actor
  token       text,
  name        text,
  role        int8,               -- ringback_domain::access::Role
  operation   text NOT NULL,
  resources   text NOT NULL,      -- JSON object
  request     text,
  address     text
);
CREATE INDEX audit_environment ON audit (environment, key);
CREATE INDEX audit_operation ON audit (environment, operation, key);
CREATE INDEX audit_application ON audit (environment, application, key);
CREATE INDEX audit_both ON audit (environment, application, operation, key);

-- Work in the background. Every key up to the cursor is done; a step moves the cursor in the same
-- transaction.
CREATE TABLE task (
  key         int8 PRIMARY KEY,
  nonce       int8 NOT NULL,
  environment int8 NOT NULL,
  application int8,
  endpoint    int8,
  kind        int2 NOT NULL,      -- ringback_domain::task::Kind
  status      int2 NOT NULL,      -- ringback_domain::task::Status
  request     text NOT NULL,      -- JSON
  data        text NOT NULL,      -- JSON object
  first       int8 NOT NULL,
  cursor      int8 NOT NULL,
  ends        int8 NOT NULL,
  created_at  int8 NOT NULL,
  updated_at  int8 NOT NULL
);
CREATE INDEX task_environment ON task (environment, key);
CREATE INDEX task_running ON task (key) WHERE status = 0;
