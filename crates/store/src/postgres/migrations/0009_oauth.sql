-- OAuth: an application's registrations at providers, flows, and what came of them. The columns of each
-- table stand in the order of their cells (connection/row.rs).

CREATE TABLE oauth_client (
  key             int8 PRIMARY KEY,
  nonce           int8 NOT NULL,
  environment     int8 NOT NULL,
  application     int8 NOT NULL,
  application_nonce int8 NOT NULL,
  provider        text NOT NULL,
  client_id       text NOT NULL,
  created_at      int8 NOT NULL,
  name            text NOT NULL,
  auth            text,
  settings        text NOT NULL,      -- JSON object
  scopes          text NOT NULL,      -- JSON array
  sealed          bytea,
  updated_at      int8 NOT NULL
);
CREATE INDEX oauth_client_environment ON oauth_client (environment, key);
CREATE INDEX oauth_client_application ON oauth_client (application, key);

CREATE TABLE oauth_authorization (
  key             int8 PRIMARY KEY,
  nonce           int8 NOT NULL,
  environment     int8 NOT NULL,
  application     int8 NOT NULL,
  application_nonce int8 NOT NULL,
  client          int8 NOT NULL,
  client_nonce    int8 NOT NULL,
  flow            int8 NOT NULL,      -- ringback_domain::oauth::authorization::Flow
  purpose         int8 NOT NULL,      -- ringback_domain::oauth::authorization::Purpose
  binding         int8 NOT NULL,      -- ringback_domain::oauth::authorization::Binding
  user_ref        text NOT NULL,
  scopes          text NOT NULL,      -- JSON array
  return_to       text NOT NULL,
  params          text NOT NULL,      -- JSON array of pairs
  version         int8 NOT NULL,      -- of the key of its tickets
  turn            int8 NOT NULL,
  metadata        text NOT NULL,      -- JSON object
  created_at      int8 NOT NULL,
  connection      int8,
  connection_nonce int8,
  stage           int8 NOT NULL,      -- ringback_domain::oauth::authorization::Stage
  reason          text,
  deadline        int8 NOT NULL,
  sealed          bytea,              -- the code, while it can be exchanged
  settled_at      int8
) WITH (fillfactor = 70);
CREATE INDEX oauth_authorization_environment ON oauth_authorization (environment, key);
CREATE INDEX oauth_authorization_application ON oauth_authorization (application, key);
CREATE INDEX oauth_authorization_client ON oauth_authorization (client, key);
CREATE INDEX oauth_authorization_user_ref ON oauth_authorization (environment, user_ref, key);
CREATE INDEX oauth_authorization_due ON oauth_authorization (deadline) WHERE stage <= 2;
CREATE INDEX oauth_authorization_ended ON oauth_authorization (settled_at) WHERE stage >= 3;

CREATE TABLE oauth_connection (
  key             int8 PRIMARY KEY,
  nonce           int8 NOT NULL,
  environment     int8 NOT NULL,
  application     int8 NOT NULL,
  application_nonce int8 NOT NULL,
  client          int8 NOT NULL,
  client_nonce    int8 NOT NULL,
  provider        text NOT NULL,
  user_ref        text NOT NULL,
  metadata        text NOT NULL,      -- JSON object
  created_at      int8 NOT NULL,
  state           int8 NOT NULL,      -- ringback_domain::oauth::connection::State
  reason          text,
  version         int8 NOT NULL,      -- of the tokens
  sealed          bytea NOT NULL,     -- the tokens
  expires_at      int8,
  refreshable     bool NOT NULL,
  scopes          text NOT NULL,      -- JSON array
  account         text,
  lease_holder    int8,
  lease_until     int8,
  failures        int8 NOT NULL,
  retry_at        int8,
  subscriptions   text NOT NULL,      -- JSON array
  refreshed_at    int8 NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX oauth_connection_environment ON oauth_connection (environment, key);
CREATE INDEX oauth_connection_application ON oauth_connection (application, key);
CREATE INDEX oauth_connection_client ON oauth_connection (client, key);
CREATE INDEX oauth_connection_user_ref ON oauth_connection (environment, user_ref, key);
