//! What a provider says of itself (RFC 8414; OpenID Connect Discovery 1.0).

use serde_json::Value;
use url::Url;

use super::field;
use super::jose::Algorithm;

/// A provider's endpoints and abilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it calls itself, which is what it was asked as.
    pub issuer: String,
    /// Where browsers are sent.
    pub authorization_endpoint: Option<String>,
    /// Where tokens are got.
    pub token_endpoint: Option<String>,
    /// Its public keys.
    pub jwks_uri: Option<String>,
    /// Who it is that logged in.
    pub userinfo_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where requests are handed over (RFC 9126).
    pub par_endpoint: Option<String>,
    /// Where devices ask (RFC 8628).
    pub device_authorization_endpoint: Option<String>,
    /// Where clients are made (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Whether every response names its issuer (RFC 9207, 3).
    pub iss_parameter_supported: bool,
    /// Whether it takes nothing but what was handed over (RFC 9126, 5).
    pub require_par: bool,
    /// Whether it takes nothing but signed request objects (RFC 9101, 10.5).
    pub require_signed_request_object: bool,
    /// How a code challenge is made; empty if it does not say.
    pub code_challenge_methods: Vec<String>,
    /// How a client may prove itself (RFC 8414, 2).
    pub token_auth_methods: Vec<String>,
    /// How answers come back: `query`, `form_post`, `query.jwt` … ; empty if it does not say.
    pub response_modes: Vec<String>,
    /// What can be asked for; empty if it does not say.
    pub scopes: Vec<String>,
    /// How it signs ID tokens, as far as known. Never `none`.
    pub id_token_algorithms: Vec<Algorithm>,
    /// How it signs responses (JARM), as far as known.
    pub response_algorithms: Vec<Algorithm>,
    /// How it takes request objects to be signed, as far as known.
    pub request_object_algorithms: Vec<Algorithm>,
    /// How it takes client assertions to be signed, as far as known.
    pub token_auth_algorithms: Vec<Algorithm>,
}

/// Why a document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is no JSON object.
    #[error("the metadata is no json object")]
    NotAnObject,
    /// It is somebody else's (RFC 8414, 3.3; Discovery, 4.3).
    #[error("the metadata is of issuer {found:?}, not of {expected:?}")]
    IssuerMismatch {
        /// Who was asked.
        expected: String,
        /// Who answered.
        found: String,
    },
    /// An endpoint that is no URL, or less safe than the issuer's.
    #[error("`{0}` is no url, has a fragment, or is not encrypted while the issuer is")]
    Endpoint(&'static str),
}

/// Where an issuer's metadata may be: as OpenID Connect says (Discovery, 4), then as RFC 8414 does
/// (section 3.1). An issuer that is no URL has none.
pub fn well_known(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else { return Vec::new() };
    if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
        return Vec::new();
    }
    let path = url.path().trim_end_matches('/');
    let origin = &url[..url::Position::BeforePath];
    vec![
        format!("{origin}{path}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

impl Metadata {
    /// Reads what was found at one of the [`well_known`] places of `issuer`.
    ///
    /// # Errors
    /// [`MetadataError`]; then nothing of it is used.
    pub fn parse(issuer: &str, json: &str) -> Result<Metadata, MetadataError> {
        let document: Value = serde_json::from_str(json)
            .ok()
            .filter(Value::is_object)
            .ok_or(MetadataError::NotAnObject)?;
        let found = field::text(&document, "issuer").unwrap_or_default();
        // The same byte for byte: no slash more, no other case.
        if found != issuer {
            let (expected, found) = (issuer.to_owned(), found.chars().take(200).collect());
            return Err(MetadataError::IssuerMismatch { expected, found });
        }
        let is_encrypted = issuer.starts_with("https:");
        let endpoint = |name: &'static str| {
            let Some(text) = field::text(&document, name) else { return Ok(None) };
            let fits = |url: &Url| match url.scheme() {
                "https" => true,
                "http" => !is_encrypted,
                _ => false,
            };
            let url = Url::parse(text).ok().filter(|url| fits(url) && url.fragment().is_none());
            match url {
                Some(_) => Ok(Some(text.to_owned())),
                None => Err(MetadataError::Endpoint(name)),
            }
        };
        let texts = |name: &str| field::texts(&document, name).unwrap_or_default();
        let algorithms = |name: &str| -> Vec<Algorithm> {
            texts(name).iter().filter_map(|name| Algorithm::from_name(name)).collect()
        };
        let flag = |name: &str| field::at(&document, name).and_then(Value::as_bool) == Some(true);
        Ok(Metadata {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            par_endpoint: endpoint("pushed_authorization_request_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            registration_endpoint: endpoint("registration_endpoint")?,
            iss_parameter_supported: flag("authorization_response_iss_parameter_supported"),
            require_par: flag("require_pushed_authorization_requests"),
            require_signed_request_object: flag("require_signed_request_object"),
            code_challenge_methods: texts("code_challenge_methods_supported"),
            token_auth_methods: field::texts(&document, "token_endpoint_auth_methods_supported")
                .unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
            response_modes: texts("response_modes_supported"),
            scopes: texts("scopes_supported"),
            id_token_algorithms: algorithms("id_token_signing_alg_values_supported"),
            response_algorithms: algorithms("authorization_signing_alg_values_supported"),
            request_object_algorithms: algorithms("request_object_signing_alg_values_supported"),
            token_auth_algorithms: algorithms("token_endpoint_auth_signing_alg_values_supported"),
        })
    }

    /// Whether it can do PKCE as it is done here; none if it does not say. A file that switches PKCE
    /// off is wrong where it can (RFC 9700, 4.8.2).
    pub fn supports_pkce(&self) -> Option<bool> {
        let methods = &self.code_challenge_methods;
        (!methods.is_empty()).then(|| methods.iter().any(|method| method == super::pkce::METHOD))
    }
}
