//! What a provider's file becomes with the settings of a client: URLs that can be dialed.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Map, Value};
use url::{Host, Url};

use super::{Given, Iss, Pkce, Provider, TokenIssuer, Unmade};
use crate::{
    destination::given::{Problem, complete},
    oauth::metadata::Metadata,
    provider::Template,
};

/// What the standard joins scopes by (RFC 6749, section 3.3).
const SPACE: &str = " ";

/// Where a client's provider is, and what its requests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where a person is asked; none if there is no browser in its flows.
    pub authorize: Option<String>,
    /// Where tokens are.
    pub token: String,
    /// Where they are refreshed: at `token`, but for few.
    pub refresh: String,
    /// Where they are ended (RFC 7009).
    pub revoke: Option<String>,
    /// Who granted (OpenID Connect Core, section 5.3).
    pub userinfo: Option<String>,
    /// The keys of its ID tokens.
    pub jwks: Option<String>,
    /// Where an authorization request is pushed to (RFC 9126).
    pub par: Option<String>,
    /// Authorization requests that are not pushed are refused.
    pub requires_par: bool,
    /// Where a device flow begins (RFC 8628).
    pub device: Option<String>,
    /// Where clients are registered (RFC 7591).
    pub register: Option<String>,
    /// Who it is; none if the settings leave that open.
    pub issuer: Option<String>,
    /// An authorization response without `iss` is refused (RFC 9207).
    pub requires_iss: bool,
    /// A code challenge is sent (RFC 7636).
    pub pkce: bool,
    /// What joins scopes.
    pub scope_separator: String,
    /// What an authorization request says beside what all say.
    pub authorize_params: Vec<(String, String)>,
    /// How the response comes back, if not in the query.
    pub response_mode: Option<String>,
    /// Authorization requests are signed (RFC 9101).
    pub signs_requests: bool,
    /// What a request with a code says beside what all say.
    pub token_params: Vec<(String, String)>,
    /// What a request with a refresh token says likewise.
    pub refresh_params: Vec<(String, String)>,
    /// The headers of both.
    pub token_headers: Vec<(String, String)>,
    /// Where an ID token says the issuer, over its claims.
    token_issuer: Option<Template>,
}

/// Why a URL is not dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It is none, or would be read otherwise than it is written.
    #[error("is no absolute url, written as every reader reads it")]
    Form,
    /// Secrets would go over the network in the clear.
    #[error("is neither https nor on loopback")]
    NotHttps,
    /// It names a user, or has a fragment.
    #[error("has a user name or a fragment")]
    Parts,
}

impl Provider {
    /// The settings of a client, complete.
    ///
    /// # Errors
    /// Every [`Problem`] with what was supplied.
    pub fn settings(
        &self,
        supplied: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Problem>> {
        let mut problems = Vec::new();
        let settings = complete(&self.settings, supplied, &self.name, &mut |place, message| {
            problems.push(Problem { place: place.to_owned(), message });
        });
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// The issuer whose metadata has to be fetched to resolve the provider, with these settings; none
    /// if the file has all.
    pub fn discovered_from(&self, supplied: &BTreeMap<String, String>) -> Option<String> {
        let issuer = self.issuer.as_ref().filter(|issuer| issuer.discovery)?;
        Given::new(&self.settings(supplied).ok()?).url(&issuer.url).ok()
    }

    /// Where the provider is for a client with these settings. What the file says comes before what
    /// metadata say, which are those of [`discovered_from`](Provider::discovered_from).
    ///
    /// # Errors
    /// Every [`Problem`] with the settings, or the first one with what they make.
    pub fn resolve(
        &self,
        supplied: &BTreeMap<String, String>,
        metadata: Option<&Metadata>,
    ) -> Result<Endpoints, Vec<Problem>> {
        let settings = self.settings(supplied)?;
        self.filled(&settings, metadata).map_err(|problem| vec![problem])
    }

    fn filled(
        &self,
        settings: &BTreeMap<String, String>,
        metadata: Option<&Metadata>,
    ) -> Result<Endpoints, Problem> {
        let given = Given::new(settings);
        let problem = |place: &str, unmade: &Unmade| Problem {
            place: place.to_owned(),
            message: unmade.to_string(),
        };
        // A template of a setting that is not given is no endpoint, not an empty one.
        let text = |place: &str, template: &Option<Template>| match template {
            Some(template) => {
                let text = given.text(template).map_err(|unmade| problem(place, &unmade))?;
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
            None => Ok(None),
        };
        let url = |name: &str, template: &Option<Template>, discovered: Option<&String>| {
            let place = format!("endpoints.{name}");
            let written = text(&place, template)?;
            let Some(url) = written.as_ref().or(discovered) else { return Ok(None) };
            checked_url(url).map_err(|no| problem(&place, &Unmade::Url(no)))?;
            Ok(Some(url.clone()))
        };
        let found = |of: fn(&Metadata) -> Option<&String>| metadata.and_then(of);
        let places = &self.endpoints;
        let missing = |place: &str| problem(place, &Unmade::Missing("the endpoint".to_owned()));
        let token = url("token", &places.token, found(|it| it.token_endpoint.as_ref()))?
            .ok_or_else(|| missing("endpoints.token"))?;
        let refresh = url("refresh", &places.refresh, None)?.unwrap_or_else(|| token.clone());
        let issuer = self.issuer.as_ref();
        let issuer_url = issuer.map(|issuer| text("issuer.url", &Some(issuer.url.clone())));
        let issuer_url = issuer_url.transpose()?.flatten();
        let fields = |place: &str, templates| {
            given.fields(templates).map_err(|unmade| problem(place, &unmade))
        };
        let token_issuer = issuer
            .and_then(|issuer| issuer.token.as_ref())
            .filter(|token| token.leaves_open(settings))
            .map(|token| token.url.clone());
        let authorize = &self.authorize;
        let separator = text("authorize.separator", &authorize.separator)?;
        let signs = text("authorize.request_object", &authorize.request_object)?;
        Ok(Endpoints {
            authorize: url(
                "authorize",
                &places.authorize,
                found(|it| it.authorization_endpoint.as_ref()),
            )?,
            token,
            refresh,
            revoke: url("revoke", &places.revoke, found(|it| it.revocation_endpoint.as_ref()))?,
            userinfo: url("userinfo", &places.userinfo, found(|it| it.userinfo_endpoint.as_ref()))?,
            jwks: url("jwks", &places.jwks, found(|it| it.jwks_uri.as_ref()))?,
            par: url("par", &places.par, found(|it| it.par_endpoint.as_ref()))?,
            requires_par: metadata.is_some_and(|it| it.require_par),
            device: url(
                "device",
                &places.device,
                found(|it| it.device_authorization_endpoint.as_ref()),
            )?,
            register: url(
                "register",
                &places.register,
                found(|it| it.registration_endpoint.as_ref()),
            )?,
            issuer: issuer_url.filter(|_| token_issuer.is_none()),
            requires_iss: issuer.is_some_and(|issuer| issuer.iss == Iss::Required)
                || metadata.is_some_and(|it| it.iss_parameter_supported),
            pkce: authorize.pkce == Pkce::S256,
            scope_separator: separator.unwrap_or_else(|| SPACE.to_owned()),
            authorize_params: fields("authorize.params", &authorize.params)?,
            response_mode: text("authorize.response_mode", &authorize.response_mode)?,
            signs_requests: signs.is_some_and(|signs| signs == "true")
                || metadata.is_some_and(|it| it.require_signed_request_object),
            token_params: fields("token.params", &self.token.params)?,
            refresh_params: fields("refresh.params", &self.refresh.params)?,
            token_headers: fields("token.headers", &self.token.headers)?,
            token_issuer,
        })
    }
}

impl TokenIssuer {
    fn leaves_open(&self, settings: &BTreeMap<String, String>) -> bool {
        self.when.iter().all(|(name, values)| {
            settings.get(name).is_some_and(|value| values.iter().any(|one| one == value))
        })
    }
}

impl Endpoints {
    /// Who has to have issued an ID token with these claims: the issuer, or, where a client is for
    /// people of every tenant, the tenant that the token names by a UUID. None if nobody is known.
    pub fn issuer_of(&self, claims: &Map<String, Value>) -> Option<String> {
        let Some(template) = &self.token_issuer else { return self.issuer.clone() };
        let mut given = Given::default();
        for name in template.names() {
            let claim = claims.get(name.strip_prefix(ID_TOKEN)?)?.as_str()?;
            given = given.with(name, Some(claim).filter(|claim| is_uuid(claim))?);
        }
        given.text(template).ok()
    }
}

/// How templates name claims.
pub(super) const ID_TOKEN: &str = "id_token.";

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a URL may be dialed: `https`, or on loopback, written as it is read, and only a place.
pub(super) fn checked_url(text: &str) -> Result<(), NoUrl> {
    let url = Url::parse(text).map_err(|_| NoUrl::Form)?;
    // What is written otherwise than it is read could be read otherwise by another reader. A path of
    // its own is added to a bare host by every one of them.
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Err(NoUrl::Form);
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => return Err(NoUrl::Form),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err(NoUrl::NotHttps),
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.fragment().is_some() { Err(NoUrl::Parts) } else { Ok(()) }
}
