//! OAuth: an application's users connect their accounts elsewhere, and it gets tokens that stay fresh.
//!
//! ```text
//!  /oauth/start/{ticket} ──► start ──► 303 to the provider (PAR, JAR)
//!  /oauth/callback/{context} ──► arrive ──► 303 to the application's page
//!        the API ──► confirm ──► exchange ──┐
//!                    device ────────────────┼──► one step of the store: flow + connection + message
//!                    client credentials ────┘
//!        the API ──► token ──► refresh (one at a time: flight, lease, version)
//!                              revoke
//! ```
//!
//! Invariants:
//! - A code, a verifier, a token or a state is in no log line, no span, no metric and no message.
//! - What a provider is asked goes through the address guard, is bounded in size and time, and is never
//!   redirected.
//! - What changes a connection is carried through, whoever goes away meanwhile: a refresh token that was
//!   rotated is stored by whoever has it.

mod arrive;
mod confirm;
mod device;
mod dial;
mod discovery;
mod door;
mod exchange;
mod grant;
mod page;
mod refresh;
mod register;
mod registration;
mod revoke;
mod start;
mod subscribe;
mod trouble;
mod vault;

pub use confirm::Confirmed;
pub use device::Begun;
pub use door::routes;
pub use refresh::Fresh;
pub use registration::{Registration, Secrets};
pub use revoke::Told;
pub use subscribe::{Subscribe, Unsubscribed};
pub use trouble::Trouble;

/// What is sealed as what.
pub(crate) mod sealed {
    pub(crate) use super::{
        arrive::PURPOSE as CODE, device::PURPOSE as DEVICE, exchange::TOKENS,
        registration::PURPOSE as CLIENT,
    };
}

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use ringback_domain::{
    callback::{UrlKeys, redirect::Target, url::Turn},
    id::{AuthorizationId, Key, OauthClientId},
    oauth::{
        Authorization,
        provider::Provider,
        ticket::{self, Purpose, Secret},
    },
    seal::Keyring,
    time::Timestamp,
};
use ringback_store::{Keeping, Notified, Store};

use crate::{config, log::Lanes, outbound::Connector, seam::World};
use discovery::Discovery;
use refresh::Flights;
pub use registration::Providers;

/// Where browsers come.
pub const PREFIX: &str = "/oauth/";
/// Where a browser begins a flow.
pub const START: &str = "/oauth/start/";
/// Where a browser comes back to.
pub const CALLBACK: &str = "/oauth/callback/";

/// What OAuth is made of.
pub struct Parts {
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// Are told of the messages about connections.
    pub lanes: Arc<dyn Lanes>,
    /// Clock and randomness.
    pub world: World,
    /// Seals secrets, codes and tokens.
    pub keyring: Arc<Keyring>,
    /// Make tickets and verifiers.
    pub keys: UrlKeys,
    /// Dials providers.
    pub connector: Arc<Connector>,
    /// Who the providers are.
    pub providers: Providers,
    /// Where this server is reached from outside: `https://hooks.example.com`.
    pub public_url: String,
    /// Where browsers may be sent on to.
    pub targets: Vec<Target>,
    /// How long content is kept.
    pub retention: Duration,
    /// Whether plain `http` is not dialled.
    pub require_https: bool,
    /// What is configured.
    pub settings: config::Oauth,
}

/// OAuth, as everybody in the process uses it. Clones share it.
#[derive(Clone)]
pub struct Oauth(Arc<Shared>);

struct Shared {
    parts: Parts,
    discovery: Discovery,
    flights: Flights,
    /// When flows of the device were last asked about.
    polled: Mutex<HashMap<Key, device::Polled>>,
}

impl Oauth {
    /// OAuth made of these parts.
    pub fn new(parts: Parts) -> Oauth {
        let (discovery, flights, polled) = Default::default();
        Oauth(Arc::new(Shared { parts, discovery, flights, polled }))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn now(&self) -> Timestamp {
        self.parts().world.clock.now()
    }

    /// The provider's file with this id.
    pub fn provider(&self, id: &str) -> Option<Arc<Provider>> {
        (self.parts().providers)(id)
    }

    /// How the messages that come of a step are kept.
    pub(crate) fn keeping(&self, now: Timestamp) -> Keeping {
        let Parts { world, retention, .. } = self.parts();
        let nonce = u64::from_be_bytes(world.entropy.bytes());
        Keeping { nonce, expires_at: now + *retention }
    }

    /// The turn of a flow that is made now; none if there is no key.
    pub fn turn(&self) -> Option<Turn> {
        self.parts().keys.first_turn()
    }

    /// Where a flow is begun; none if the key of its turn is gone.
    pub fn url(&self, flow: &Authorization) -> Option<String> {
        let ticket = ticket::ticket(&self.parts().keys, Purpose::Start, flow.id, flow.turn)?;
        Some(format!("{}{START}{}", self.parts().public_url, ticket.as_str()))
    }

    /// Where a client's browsers come back to: a place of its own.
    pub fn redirect_uri(&self, client: OauthClientId) -> String {
        let text = client.to_string();
        let context = text.split_once('_').map_or("", |(_, context)| context);
        format!("{}{CALLBACK}{context}", self.parts().public_url)
    }

    /// A secret of a flow; none if the key of its turn is gone.
    pub fn secret(&self, purpose: Purpose, id: AuthorizationId, turn: Turn) -> Option<Secret> {
        ticket::secret(&self.parts().keys, purpose, id, turn)
    }

    /// The cookie of a flow that is bound to a browser: its name and value.
    pub fn cookie(&self, flow: &Authorization) -> Option<(String, Secret)> {
        let value = self.secret(Purpose::Binding, flow.id, flow.turn)?;
        Some((cookie_name(flow.id), value))
    }

    /// Tells the lanes of messages that were written.
    pub(crate) fn tell(&self, told: &[Notified]) {
        for endpoint in told.iter().flat_map(|(_, endpoints)| &**endpoints) {
            self.parts().lanes.look(*endpoint);
        }
    }
}

/// The name says which flow it is of, so that several may be under way in one browser. It may be set for
/// a whole site, so that the gateway gets what the application has set; browsers take a name with this
/// prefix over a secure connection alone.
fn cookie_name(id: AuthorizationId) -> String {
    format!("__Secure-ringback-{}", id.to_string().replace('_', "-"))
}
