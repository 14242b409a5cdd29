-- OAuth: an application's registrations at providers, flows, and what came of them. The columns of each
-- table stand in the order of their cells (connection/row.rs).

CREATE TABLE oauth_client (
  key             INTEGER PRIMARY KEY,
  nonce           INTEGER NOT NULL,
  environment     INTEGER NOT NULL,
  application     INTEGER NOT NULL,
  application_nonce INTEGER NOT NULL,
  provider        TEXT NOT NULL,
  client_id       TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  name            TEXT NOT NULL,
  auth            TEXT,
  settings        TEXT NOT NULL,      -- JSON object
  scopes          TEXT NOT NULL,      -- JSON array
  sealed          BLOB,
  updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_client_environment ON oauth_client (environment);
CREATE INDEX oauth_client_application ON oauth_client (application);

CREATE TABLE oauth_authorization (
  key             INTEGER PRIMARY KEY,
  nonce           INTEGER NOT NULL,
  environment     INTEGER NOT NULL,
  application     INTEGER NOT NULL,
  application_nonce INTEGER NOT NULL,
  client          INTEGER NOT NULL,
  client_nonce    INTEGER NOT NULL,
  flow            INTEGER NOT NULL,   -- ringback_domain::oauth::authorization::Flow
  purpose         INTEGER NOT NULL,   -- ringback_domain::oauth::authorization::Purpose
  binding         INTEGER NOT NULL,   -- ringback_domain::oauth::authorization::Binding
  user_ref        TEXT NOT NULL,
  scopes          TEXT NOT NULL,      -- JSON array
  return_to       TEXT NOT NULL,
  params          TEXT NOT NULL,      -- JSON array of pairs
  version         INTEGER NOT NULL,   -- of the key of its tickets
  turn            INTEGER NOT NULL,
  metadata        TEXT NOT NULL,      -- JSON object
  created_at      INTEGER NOT NULL,
  connection      INTEGER,
  connection_nonce INTEGER,
  stage           INTEGER NOT NULL,   -- ringback_domain::oauth::authorization::Stage
  reason          TEXT,
  deadline        INTEGER NOT NULL,
  sealed          BLOB,               -- the code, while it can be exchanged
  settled_at      INTEGER
) STRICT;
CREATE INDEX oauth_authorization_environment ON oauth_authorization (environment);
CREATE INDEX oauth_authorization_application ON oauth_authorization (application);
CREATE INDEX oauth_authorization_client ON oauth_authorization (client);
CREATE INDEX oauth_authorization_user_ref ON oauth_authorization (environment, user_ref);
CREATE INDEX oauth_authorization_due ON oauth_authorization (deadline) WHERE stage <= 2;
CREATE INDEX oauth_authorization_ended ON oauth_authorization (settled_at) WHERE stage >= 3;

CREATE TABLE oauth_connection (
  key             INTEGER PRIMARY KEY,
  nonce           INTEGER NOT NULL,
  environment     INTEGER NOT NULL,
  application     INTEGER NOT NULL,
  application_nonce INTEGER NOT NULL,
  client          INTEGER NOT NULL,
  client_nonce    INTEGER NOT NULL,
  provider        TEXT NOT NULL,
  user_ref        TEXT NOT NULL,
  metadata        TEXT NOT NULL,      -- JSON object
  created_at      INTEGER NOT NULL,
  state           INTEGER NOT NULL,   -- ringback_domain::oauth::connection::State
  reason          TEXT,
  version         INTEGER NOT NULL,   -- of the tokens
  sealed          BLOB NOT NULL,      -- the tokens
  expires_at      INTEGER,
  refreshable     INTEGER NOT NULL,
  scopes          TEXT NOT NULL,      -- JSON array
  account         TEXT,
  lease_holder    INTEGER,
  lease_until     INTEGER,
  failures        INTEGER NOT NULL,
  retry_at        INTEGER,
  subscriptions   TEXT NOT NULL,      -- JSON array
  refreshed_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_connection_environment ON oauth_connection (environment);
CREATE INDEX oauth_connection_application ON oauth_connection (application);
CREATE INDEX oauth_connection_client ON oauth_connection (client);
CREATE INDEX oauth_connection_user_ref ON oauth_connection (environment, user_ref);
