//! A client together with what its provider's file, its settings and discovery make of it.

use std::{collections::BTreeMap, sync::Arc};

use ringback_domain::{
    id::OauthClientId,
    oauth::{
        Client,
        jose::{Algorithm, SigningKey},
        metadata::Metadata,
        provider::{AuthMethod, Endpoints, Given, Protocol, Provider, Said},
        token::{self, ClientAuth, Tokens},
    },
    seal::Context,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use zeroize::Zeroizing;

use super::{Oauth, Trouble};

/// The providers of accounts that are known.
pub type Providers = Arc<dyn Fn(&str) -> Option<Arc<Provider>> + Send + Sync>;

/// What a client's secrets are sealed as.
pub(crate) const PURPOSE: &str = "oauth-client";
/// What a provider signs with where it does not say (OpenID Connect Core, section 15.1, and those that
/// took its place).
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// What a client proves itself with.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// What the provider has given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Zeroizing<String>>,
    /// A private key: a JWK, or PKCS #8 as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<Zeroizing<String>>,
    /// What the key signs with: `ES256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
}

impl Secrets {
    /// The key that signs.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn key(&self) -> Result<Option<SigningKey>, String> {
        let Some(text) = &self.signing_key else { return Ok(None) };
        let name = self.algorithm.as_deref().unwrap_or("RS256");
        let algorithm = Algorithm::from_name(name);
        let algorithm = algorithm.ok_or_else(|| format!("there is no algorithm `{name}`"))?;
        SigningKey::parse(text, algorithm).map(Some).map_err(|error| error.to_string())
    }
}

/// A client, ready to be used.
pub struct Registration {
    pub(super) client: Client,
    pub(super) provider: Arc<Provider>,
    pub(super) endpoints: Endpoints,
    metadata: Option<Arc<Metadata>>,
    secrets: Secrets,
    method: AuthMethod,
}

/// What a client proves itself with in one request.
pub(super) struct Proof<'a> {
    method: AuthMethod,
    id: &'a str,
    secret: &'a str,
    assertion: String,
}

impl Proof<'_> {
    pub(super) fn auth(&self) -> ClientAuth<'_> {
        let Proof { id, secret, .. } = *self;
        match self.method {
            AuthMethod::None => ClientAuth::None { id },
            AuthMethod::ClientSecretBasic => ClientAuth::Basic { id, secret },
            AuthMethod::ClientSecretPost => ClientAuth::Post { id, secret },
            AuthMethod::PrivateKeyJwt => {
                ClientAuth::PrivateKeyJwt { id, assertion: &self.assertion }
            }
        }
    }
}

impl Oauth {
    /// The client with this id, ready to be used.
    pub(super) async fn registration_of(
        &self,
        client: OauthClientId,
    ) -> Result<Registration, Trouble> {
        let client = self.parts().store.oauth_client_by_id(client).await?;
        self.registration(client.ok_or(Trouble::NotFound("oauth client"))?).await
    }

    /// A client, ready to be used. This may have to ask the provider where it is.
    pub(super) async fn registration(&self, client: Client) -> Result<Registration, Trouble> {
        let secrets = self.open_secrets(&client)?;
        self.resolved(client, secrets).await
    }

    /// The same of a client that is not kept yet.
    ///
    /// # Errors
    /// [`Trouble::Misconfigured`] names what is wrong with it.
    pub(crate) async fn resolved(
        &self,
        client: Client,
        secrets: Secrets,
    ) -> Result<Registration, Trouble> {
        let unknown = || Trouble::Misconfigured(format!("no provider `{}`", client.provider));
        let provider = (self.parts().providers)(&client.provider).ok_or_else(unknown)?;
        let metadata = match provider.discovered_from(&client.settings) {
            Some(issuer) => Some(self.metadata(&issuer).await?),
            None => None,
        };
        let endpoints = provider.resolve(&client.settings, metadata.as_deref());
        let endpoints = endpoints.map_err(|problems| {
            let texts = problems.iter().map(|it| format!("{}: {}", it.place, it.message));
            Trouble::Misconfigured(texts.collect::<Vec<_>>().join("; "))
        })?;
        let named = client.auth.as_deref().and_then(AuthMethod::from_name);
        let method = named.unwrap_or_else(|| provider.auth());
        Ok(Registration { client, provider, endpoints, metadata, secrets, method })
    }

    /// The secrets of a client.
    pub(crate) fn open_secrets(&self, client: &Client) -> Result<Secrets, Trouble> {
        match &client.sealed {
            Some(sealed) => self.open(&place(client), sealed),
            None => Ok(Secrets::default()),
        }
    }

    /// Seals the secrets of a client.
    pub(crate) fn seal_secrets(
        &self,
        client: &Client,
        secrets: &Secrets,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        if secrets.client_secret.is_none() && secrets.signing_key.is_none() {
            return Ok(None);
        }
        self.seal(&place(client), secrets).map(Some)
    }

    /// What no assertion has said before.
    pub(super) fn jti(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.parts().world.entropy.bytes::<16>())
    }
}

fn place(client: &Client) -> Context<'static> {
    let (environment, owner) = (client.scope.environment, client.id.key());
    Context { environment, owner, purpose: PURPOSE }
}

impl Registration {
    /// What the client proves itself with now.
    pub(super) fn proof(&self, jti: &str, now: Timestamp) -> Result<Proof<'_>, Trouble> {
        let id = &self.client.client_id;
        let secret = self.secrets.client_secret.as_deref().map_or("", String::as_str);
        let assertion = match self.method {
            AuthMethod::PrivateKeyJwt => {
                let key = self.key()?;
                let endpoints = &self.endpoints;
                let audience = endpoints.issuer.as_deref().unwrap_or(&endpoints.token);
                token::assertion(&key, id, audience, jti, now)
                    .ok_or_else(|| Trouble::internal("an assertion cannot be signed", id))?
            }
            _ => String::new(),
        };
        Ok(Proof { method: self.method, id, secret, assertion })
    }

    /// What the provider has given the client.
    pub(super) fn client_secret(&self) -> Option<Zeroizing<String>> {
        self.secrets.client_secret.clone()
    }

    pub(super) fn key(&self) -> Result<SigningKey, Trouble> {
        let key = self.secrets.key().map_err(Trouble::Misconfigured)?;
        key.ok_or_else(|| Trouble::Misconfigured("the client has no signing key".to_owned()))
    }

    /// Who it is whose requests these are, for those who sign them.
    pub(super) fn audience(&self) -> &str {
        let endpoints = &self.endpoints;
        endpoints.issuer.as_deref().unwrap_or(&endpoints.token)
    }

    /// Whether authorization requests are signed (RFC 9101).
    pub(super) fn signs_requests(&self) -> bool {
        self.endpoints.signs_requests
            || self.metadata.as_ref().is_some_and(|it| it.require_signed_request_object)
    }

    /// Whether authorization responses are signed (JARM, section 2.3).
    pub(super) fn signs_responses(&self) -> bool {
        let mode = self.endpoints.response_mode.as_deref();
        mode.is_some_and(|mode| mode == "jwt" || mode.ends_with(".jwt"))
    }

    /// The scopes of a flow, or else of the client, or else of the provider's file.
    pub(super) fn scopes<'a>(&'a self, wanted: &'a [String]) -> &'a [String] {
        match (wanted, &*self.client.scopes) {
            ([], []) => &self.provider.authorize.scopes,
            ([], own) => own,
            (wanted, _) => wanted,
        }
    }

    /// Scopes as the provider joins them.
    pub(super) fn scope(&self, wanted: &[String]) -> String {
        self.provider.scope(&self.endpoints, self.scopes(wanted))
    }

    /// Whether an ID token is asked for.
    pub(super) fn is_openid(&self, wanted: &[String]) -> bool {
        self.provider.has_id_tokens(self.scopes(wanted))
    }

    /// How long a code can be exchanged, as far as the provider says.
    pub(super) fn code_lifetime(&self) -> Duration {
        Duration::from_secs(self.provider.authorize.code_lifetime.unwrap_or(600))
    }

    /// What the provider signs its tokens with.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let said = self.metadata.as_ref().map(|it| it.id_token_algorithms.clone());
        // A secret that both know is no signature of the provider's.
        let said =
            said.map(|said| said.into_iter().filter(|it| !it.is_shared()).collect::<Vec<_>>());
        said.filter(|said| !said.is_empty()).unwrap_or_else(|| ALGORITHMS.to_vec())
    }

    /// Who has to have issued a token with these claims.
    pub(super) fn issuer_of(&self, claims: &Map<String, Value>) -> Option<String> {
        self.endpoints.issuer_of(claims)
    }

    /// What templates are filled from: the client, and what is kept of its connection.
    pub(super) fn given(&self, kept: &Map<String, Value>) -> Given {
        let settings = self.provider.settings(&self.client.settings).unwrap_or_default();
        let secret = self.secrets.client_secret.as_deref().map(String::as_str);
        let kept: BTreeMap<&str, String> = kept
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), text_of(value)?)))
            .collect();
        Given::new(&settings)
            .client(&self.client.client_id, secret)
            .kept(kept.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// Whether who granted is said as OpenID Connect has it, with a `sub`.
    pub(super) fn is_standard_userinfo(&self) -> bool {
        self.provider.protocol == Protocol::Openid
            && self.provider.account.as_ref().is_none_or(|account| account.call.is_none())
    }

    /// Who granted, as the provider calls them.
    pub(super) fn account(
        &self,
        tokens: &Tokens,
        claims: Option<&Map<String, Value>>,
        info: Option<&Value>,
        brought: &[(String, String)],
    ) -> Option<String> {
        let object = |said: &Map<String, Value>| Value::Object(said.clone());
        let said = match self.provider.account.as_ref().map(|account| account.from) {
            Some(Said::Token) => Some(object(&tokens.extra)),
            Some(Said::IdToken) => claims.map(object),
            Some(Said::Userinfo) => info.cloned(),
            Some(Said::Callback) => Some(object(&self.kept_of_browser(brought))),
            None => None,
        };
        let id = said.and_then(|said| self.provider.who(&said).id);
        id.or_else(|| text_of(claims?.get("sub")?))
    }

    /// What is kept beside the tokens: what the provider's file names of the answers, and of what the
    /// browser brought.
    pub(super) fn kept(
        &self,
        tokens: &Tokens,
        info: Option<&Value>,
        brought: &[(String, String)],
    ) -> Map<String, Value> {
        let of_account = info.map(|info| self.provider.kept_of_account(info)).unwrap_or_default();
        let of_tokens = tokens.extra.clone().into_iter();
        of_tokens.chain(of_account).chain(self.kept_of_browser(brought)).collect()
    }

    fn kept_of_browser(&self, brought: &[(String, String)]) -> Map<String, Value> {
        let keep = &self.provider.callback.keep;
        let kept = brought.iter().filter(|(name, _)| keep.contains(name));
        kept.map(|(name, value)| (name.clone(), Value::from(&**value))).collect()
    }
}

/// A text, number or truth value as text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
