-- Callbacks: what somebody waits for, and whatever arrived at it.

CREATE TABLE callback (
  key             int8 PRIMARY KEY,
  nonce           int8 NOT NULL,
  environment     int8 NOT NULL,
  application     int8 NOT NULL,
  application_nonce int8 NOT NULL,
  kind            int2 NOT NULL,      -- ringback_domain::callback::Kind
  state           int2 NOT NULL,      -- ringback_domain::callback::State
  -- While it is open: when it ends by itself. Then: when it ended.
  due_at          int8 NOT NULL,
  expires_at      int8 NOT NULL,
  silence         int8,               -- the longest one, in milliseconds
  seen_at         int8,
  taken           int8 NOT NULL,      -- items of a stream
  most            int8,               -- none if one answer ends it
  failed          bool,               -- whether the answer was a failure
  answer          bytea,              -- SHA-256 of its body
  version         int2 NOT NULL,      -- of the key of its URL
  turn            int8 NOT NULL,
  terms           text NOT NULL,      -- JSON
  sealed          bytea,
  source          int8,
  source_nonce    int8,
  reference       text,
  amount          text,               -- that has to be paid
  currency        text,
  tags            text NOT NULL,      -- JSON array
  metadata        text NOT NULL,      -- JSON object
  created_at      int8 NOT NULL,
  settled_at      int8,
  settled_by      int8,               -- a callback_request
  settled_nonce   int8,
  requests        int8 NOT NULL,
  claim           bytea,              -- SHA-256 of the idempotency key
  claimed         bytea               -- SHA-256 of what was asked for with it
) WITH (fillfactor = 70);
CREATE INDEX callback_environment ON callback (environment, key);
CREATE INDEX callback_application ON callback (environment, application, key);
CREATE INDEX callback_reference ON callback (environment, reference, key) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX callback_claim ON callback (application, claim) WHERE claim IS NOT NULL;
-- A million that are open cost nothing until they are due.
CREATE INDEX callback_due ON callback (due_at) WHERE state <= 1;
CREATE INDEX callback_ended ON callback (due_at) WHERE state >= 2;

CREATE TABLE callback_request (
  key             int8 PRIMARY KEY,
  nonce           int8 NOT NULL,
  callback        int8 NOT NULL,
  act             int2 NOT NULL,      -- ringback_domain::callback::Act
  party            int2 NOT NULL,      -- ringback_domain::callback::By
  fate            int2 NOT NULL,      -- ringback_domain::callback::Fate
  item            int8,
  reason          text,
  method          text NOT NULL,
  target          text NOT NULL,
  address         text,
  content_type    text,
  headers         text NOT NULL,      -- JSON array of pairs
  bytes           int8 NOT NULL,
  message         int8,               -- of a source
  message_nonce   int8,
  body            bytea NOT NULL
);
ALTER TABLE callback_request ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX callback_request_callback ON callback_request (callback, key);

-- Where a callback and a message of a source with its reference meet, whichever comes first: whoever
-- comes second waits for the row, and finds the other in it.
CREATE TABLE callback_meeting (
  owner           int8 NOT NULL,      -- a source, or an application
  reference       text NOT NULL,
  environment     int8 NOT NULL,
  callback        int8,
  callback_nonce  int8,
  message         int8,
  message_nonce   int8,
  failed          bool,
  answer          bytea,
  amount          text,
  currency        text,
  content_type    text,
  body            bytea,
  forget_at       int8,               -- of one that met no callback
  PRIMARY KEY (owner, reference)
);
CREATE INDEX callback_meeting_forget ON callback_meeting (forget_at) WHERE forget_at IS NOT NULL;
CREATE INDEX callback_meeting_callback ON callback_meeting (callback) WHERE callback IS NOT NULL;

-- What is to be done next for a callback: a request to make, sealed.
CREATE TABLE callback_errand (
  callback        int8 PRIMARY KEY,
  callback_nonce  int8 NOT NULL,
  due_at          int8 NOT NULL,
  attempts        int8 NOT NULL,
  work            bytea NOT NULL
);
CREATE INDEX callback_errand_due ON callback_errand (due_at);
