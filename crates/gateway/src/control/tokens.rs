//! What an operator does with API tokens, on the store: the same for the socket and for a command
//! that holds the data directory itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ringback_domain::access::{Grant, Role, UnknownRole};
use ringback_domain::id::{ApplicationId, EnvironmentId, Id, Key, Kind, SEQUENCE_BITS, TokenId};
use ringback_domain::scope::{EnvironmentError, Reference, check_environment};
use ringback_domain::token::Token;
use ringback_store::{
    Act, Actor, Environment, Listed, NewEnvironment, NewToken, Order, Page, Position, ReadError,
    Store, TokenRow, Unavailable, WriteError, audit as act,
};

use super::{DEFAULT_ENVIRONMENT, EnvironmentInfo, Request, Response, TokenInfo, audit, keys};
use crate::{keyring, keyring::Rotation, seam::World};

/// Longest name of a token, in bytes.
const NAME_LENGTH: usize = 64;

/// Environments that are read at once.
const PAGE: usize = 250;

/// The operations and what they need.
#[derive(Clone)]
pub struct Tokens {
    store: Arc<dyn Store>,
    world: World,
    /// Who has the keys that seal secrets, where it is for more than tokens.
    keys: Option<Rotation>,
}

/// Why an operation did nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error("the name of a token has at most 64 bytes and no control characters")]
    Name,
    #[error("{0:?} is not the id of a token: {1}")]
    Id(String, ringback_domain::id::ParseError),
    #[error(transparent)]
    Role(#[from] UnknownRole),
    #[error("a token with the role application needs --application")]
    Unconfined,
    #[error(
        "a token with the role admin is for all applications: leave out --application, or use the role application"
    )]
    Confined,
    #[error("tokens of portals are made by POST /api/v1/auth/app-portal-access/{{app_id}}")]
    Portal,
    #[error("the environment {0:?} does not exist")]
    NoEnvironment(String),
    #[error("nobody has the keys here")]
    NoKeys,
    #[error(transparent)]
    Keys(#[from] keyring::Refusal),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Tokens {
    /// Works on this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, world: World) -> Self {
        Self { store, world, keys: None }
    }

    /// The same, also for the keys that seal secrets.
    #[must_use]
    pub fn with_keys(self, keys: Rotation) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Does what is asked; a refusal is an answer, too.
    pub async fn handle(&self, request: Request) -> Response {
        act::scope(self.carry_out(request)).await
    }

    async fn carry_out(&self, request: Request) -> Response {
        let outcome = match request {
            Request::CreateToken { environment, name, role, application, lasts } => {
                self.create(Asked { environment, name, role, application, lasts }).await
            }
            Request::ListTokens {} => self.list().await,
            Request::CreateEnvironment { name } => self.create_environment(name).await,
            Request::ListEnvironments {} => self.environments().await,
            Request::ListAudit { environment, application, operation, limit } => {
                let asked = audit::Asked { application, operation, limit };
                self.audit(&environment, asked).await
            }
            Request::RevokeToken { id } => self.revoke(&id).await,
            Request::ListKeys {} | Request::RotateKeys {} | Request::RetireKeys {} => {
                self.keys(&request).await
            }
        };
        outcome.unwrap_or_else(|refusal| Response::Refused { reason: refusal.to_string() })
    }

    async fn create(&self, asked: Asked) -> Result<Response, Refusal> {
        let Asked { environment, name, role, application, lasts } = asked;
        let role = grantable(&role, application.is_some())?;
        check_environment(&environment)?;
        if name.len() > NAME_LENGTH || name.chars().any(char::is_control) {
            return Err(Refusal::Name);
        }
        let now = self.world.clock.now();
        act::note(self.act("token.create"));
        let key = self.store.environment(environment.clone(), now).await?;
        act::inside(key);
        let application = match application {
            Some(named) => Some(self.application(key, &named).await?),
            None => None,
        };
        let expires_at = lasts.map(|seconds| now + Duration::from_secs(seconds));
        let token = Token::mint(self.world.entropy.bytes());
        let id = self.new_id();
        act::about("token_id", id.to_string());
        if let Some(application) = application {
            act::about("app_id", application.to_string());
        }
        let new = NewToken {
            id,
            environment: key,
            hash: token.hash(),
            hint: token.hint(),
            name: name.clone(),
            grant: Grant { role, application, ..Grant::default() },
            session: None,
            created_at: now,
            expires_at,
            answer: None,
        };
        self.store.create_token(new).await?;
        let info = TokenInfo {
            id: id.to_string(),
            environment,
            hint: token.hint(),
            name,
            role: role.name().to_owned(),
            application: application.map(|id| id.to_string()),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        Ok(Response::Created { token: token.as_str().to_owned(), info })
    }

    async fn list(&self) -> Result<Response, Refusal> {
        let rows = self.store.tokens().await?;
        Ok(Response::Tokens(rows.into_iter().map(TokenInfo::from).collect()))
    }

    async fn revoke(&self, id: &str) -> Result<Response, Refusal> {
        let token = id.parse().map_err(|error| Refusal::Id(id.to_owned(), error))?;
        act::note(self.act("token.revoke"));
        if let Some(known) = self.store.token(token).await? {
            act::inside(known.environment);
            act::about("token_id", id.to_owned());
            if let Some(application) = known.grant.application {
                act::about("app_id", application.to_string());
            }
        }
        let row = self.store.revoke_token(token, self.world.clock.now()).await?;
        Ok(Response::Revoked(row.into()))
    }

    async fn create_environment(&self, name: String) -> Result<Response, Refusal> {
        check_environment(&name)?;
        let key = self.new_id().key();
        let id = EnvironmentId(Id { key, shard: 0, nonce: 0 });
        let environment = Environment { id, name, created_at: self.world.clock.now() };
        act::note(self.act("environment.create"));
        act::inside(key);
        act::about("environment_id", environment.id.to_string());
        act::about("name", environment.name.clone());
        let new = NewEnvironment { environment, answer: None };
        let created = self.store.create_environment(new).await?;
        Ok(Response::Environments(vec![created.into()]))
    }

    async fn keys(&self, request: &Request) -> Result<Response, Refusal> {
        let keys = self.keys.as_ref().ok_or(Refusal::NoKeys)?;
        if let Request::ListKeys {} = request {
            return keys::list(keys).await;
        }
        // They are those of the whole installation, whose log is the first environment's.
        let environment = DEFAULT_ENVIRONMENT.to_owned();
        let environment = self.store.environment(environment, self.world.clock.now()).await?;
        let is_rotation = matches!(request, Request::RotateKeys {});
        act::note(self.act(if is_rotation { "key.rotate" } else { "key.retire" }));
        act::inside(environment);
        if is_rotation { keys::rotate(keys).await } else { keys::retire(keys).await }
    }

    /// What a command does, in an environment that is found out later.
    fn act(&self, operation: &str) -> Act {
        Act {
            environment: 0,
            application: None,
            actor: Actor::Command,
            operation: operation.to_owned(),
            resources: BTreeMap::new(),
            request: None,
            address: None,
            at: self.world.clock.now(),
        }
    }

    async fn environments(&self) -> Result<Response, Refusal> {
        let mut all = Vec::new();
        let mut from = Position::Start;
        loop {
            let page = Page { limit: PAGE, from, order: Order::Ascending };
            let Listed { items, done } = self.store.environments(page).await?;
            all.extend(items.into_iter().map(EnvironmentInfo::from));
            match all.last() {
                Some(last) if !done => from = Position::After(last.id.0),
                _ => return Ok(Response::Environments(all)),
            }
        }
    }

    async fn audit(&self, environment: &str, asked: audit::Asked) -> Result<Response, Refusal> {
        let Response::Environments(all) = self.environments().await? else {
            return Err(Refusal::NoEnvironment(environment.to_owned()));
        };
        let known = all.into_iter().find(|known| known.name == environment);
        let known = known.ok_or_else(|| Refusal::NoEnvironment(environment.to_owned()))?;
        audit::list(&*self.store, known.id.key(), asked).await
    }

    async fn application(&self, environment: Key, named: &str) -> Result<ApplicationId, Refusal> {
        let reference = Reference::parse(Kind::Application, named);
        Ok(self.store.application(environment, reference).await?.id)
    }

    /// Tokens are made so rarely that random bits in place of a sequence keep their keys apart.
    fn new_id(&self) -> TokenId {
        let sequence = u32::from_be_bytes(self.world.entropy.bytes()) >> (32 - SEQUENCE_BITS);
        let key = Id::first_key_at(self.world.clock.now()) | i64::from(sequence);
        TokenId(Id { key, shard: 0, nonce: u64::from_be_bytes(self.world.entropy.bytes()) })
    }
}

/// A token that is asked for.
struct Asked {
    environment: String,
    name: String,
    role: String,
    application: Option<String>,
    lasts: Option<u64>,
}

/// The role of this name, if a token can be made with it here.
fn grantable(role: &str, confined: bool) -> Result<Role, Refusal> {
    match (role.parse()?, confined) {
        (Role::Portal, _) => Err(Refusal::Portal),
        (Role::Application, false) => Err(Refusal::Unconfined),
        (Role::Admin, true) => Err(Refusal::Confined),
        (role, _) => Ok(role),
    }
}

impl From<Environment> for EnvironmentInfo {
    fn from(Environment { id, name, created_at }: Environment) -> Self {
        Self { id, name, created_at }
    }
}

impl From<TokenRow> for TokenInfo {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id.to_string(),
            environment: row.environment_name,
            hint: row.hint,
            name: row.name,
            role: row.grant.role.name().to_owned(),
            application: row.grant.application.map(|id| id.to_string()),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_can_be_given_out() {
        for (role, confined, expect) in [
            ("admin", false, Some(Role::Admin)),
            ("admin", true, None),
            ("send", false, Some(Role::Send)),
            ("send", true, Some(Role::Send)),
            ("read", true, Some(Role::Read)),
            ("application", true, Some(Role::Application)),
            ("application", false, None),
            ("portal", true, None),
            ("root", false, None),
        ] {
            assert_eq!(grantable(role, confined).ok(), expect, "{role} {confined}");
        }
    }
}
