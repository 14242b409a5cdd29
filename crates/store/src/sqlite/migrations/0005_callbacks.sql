-- Callbacks: what somebody waits for, and whatever arrived at it.

CREATE TABLE callback (
  key             INTEGER PRIMARY KEY,
  nonce           INTEGER NOT NULL,
  environment     INTEGER NOT NULL,
  application     INTEGER NOT NULL,
  application_nonce INTEGER NOT NULL,
  kind            INTEGER NOT NULL,   -- ringback_domain::callback::Kind
  state           INTEGER NOT NULL,   -- ringback_domain::callback::State
  -- While it is open: when it ends by itself. Then: when it ended.
  due_at          INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  silence         INTEGER,            -- the longest one, in milliseconds
  seen_at         INTEGER,
  taken           INTEGER NOT NULL,   -- items of a stream
  most            INTEGER,            -- none if one answer ends it
  failed          INTEGER,            -- whether the answer was a failure
  answer          BLOB,               -- SHA-256 of its body
  version         INTEGER NOT NULL,   -- of the key of its URL
  turn            INTEGER NOT NULL,
  terms           TEXT NOT NULL,      -- JSON
  sealed          BLOB,
  source          INTEGER,
  source_nonce    INTEGER,
  reference       TEXT,
  amount          TEXT,               -- that has to be paid
  currency        TEXT,
  tags            TEXT NOT NULL,      -- JSON array
  metadata        TEXT NOT NULL,      -- JSON object
  created_at      INTEGER NOT NULL,
  settled_at      INTEGER,
  settled_by      INTEGER,            -- a callback_request
  settled_nonce   INTEGER,
  requests        INTEGER NOT NULL,
  claim           BLOB,               -- SHA-256 of the idempotency key
  claimed         BLOB                -- SHA-256 of what was asked for with it
) STRICT;
CREATE INDEX callback_environment ON callback (environment);
CREATE INDEX callback_application ON callback (environment, application);
CREATE INDEX callback_reference ON callback (environment, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX callback_claim ON callback (application, claim) WHERE claim IS NOT NULL;
-- A million that are open cost nothing until they are due.
CREATE INDEX callback_due ON callback (due_at) WHERE state <= 1;
CREATE INDEX callback_ended ON callback (due_at) WHERE state >= 2;

CREATE TABLE callback_request (
  key             INTEGER PRIMARY KEY,
  nonce           INTEGER NOT NULL,
  callback        INTEGER NOT NULL,
  act             INTEGER NOT NULL,   -- ringback_domain::callback::Act
  party            INTEGER NOT NULL,   -- ringback_domain::callback::By
  fate            INTEGER NOT NULL,   -- ringback_domain::callback::Fate
  item            INTEGER,
  reason          TEXT,
  method          TEXT NOT NULL,
  target          TEXT NOT NULL,
  address         TEXT,
  content_type    TEXT,
  headers         TEXT NOT NULL,      -- JSON array of pairs
  bytes           INTEGER NOT NULL,
  message         INTEGER,            -- of a source
  message_nonce   INTEGER,
  body            BLOB NOT NULL
) STRICT;
CREATE INDEX callback_request_callback ON callback_request (callback);

-- Where a callback and a message of a source with its reference meet, whichever comes first.
CREATE TABLE callback_meeting (
  owner           INTEGER NOT NULL,   -- a source, or an application
  reference       TEXT NOT NULL,
  environment     INTEGER NOT NULL,
  callback        INTEGER,
  callback_nonce  INTEGER,
  message         INTEGER,
  message_nonce   INTEGER,
  failed          INTEGER,
  answer          BLOB,
  amount          TEXT,
  currency        TEXT,
  content_type    TEXT,
  body            BLOB,
  forget_at       INTEGER,            -- of one that met no callback
  PRIMARY KEY (owner, reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX callback_meeting_forget ON callback_meeting (forget_at) WHERE forget_at IS NOT NULL;
CREATE INDEX callback_meeting_callback ON callback_meeting (callback) WHERE callback IS NOT NULL;

-- What is to be done next for a callback: a request to make, sealed.
CREATE TABLE callback_errand (
  callback        INTEGER PRIMARY KEY,
  callback_nonce  INTEGER NOT NULL,
  due_at          INTEGER NOT NULL,
  attempts        INTEGER NOT NULL,
  work            BLOB NOT NULL
) STRICT;
CREATE INDEX callback_errand_due ON callback_errand (due_at);
