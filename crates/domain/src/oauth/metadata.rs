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
    /// An endpoint that is no URL as it goes over the wire, or less safe than the issuer's.
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
        let found = field::text(&document, "issuer");
        // The same byte for byte: no slash more, no other case.
        if found != Some(issuer) {
            let found = field::shown(found.unwrap_or_default(), field::DESCRIPTION);
            let expected = issuer.to_owned();
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
            // A reader of URLs passes over line ends and blanks, but what is sent has them.
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            let url = Url::parse(text).ok().filter(|_| is_plain);
            match url.filter(|url| fits(url) && url.fragment().is_none()) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn parse(issuer: &str, document: &Value) -> Result<Metadata, MetadataError> {
        Metadata::parse(issuer, &document.to_string())
    }

    fn good() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example.com/authorize?tenant=1",
            "token_endpoint": "https://tokens.example.com/token",
            "jwks_uri": "https://login.example.com/keys",
            "pushed_authorization_request_endpoint": "https://login.example.com/par",
            "authorization_response_iss_parameter_supported": true,
            "code_challenge_methods_supported": ["plain", "S256"],
            "id_token_signing_alg_values_supported": ["none", "RS256", "ES512", "EdDSA"],
        })
    }

    /// RFC 8414, 3.1; Discovery, 4.
    #[test]
    fn rfc8414_3_1_where_metadata_is() {
        let both = |openid: &str, oauth: &str| vec![openid.to_owned(), oauth.to_owned()];
        for (issuer, expect) in [
            (
                "https://example.com",
                both(
                    "https://example.com/.well-known/openid-configuration",
                    "https://example.com/.well-known/oauth-authorization-server",
                ),
            ),
            (
                "https://example.com:8443/issuer1/",
                both(
                    "https://example.com:8443/issuer1/.well-known/openid-configuration",
                    "https://example.com:8443/.well-known/oauth-authorization-server/issuer1",
                ),
            ),
            ("https://example.com/a?b", Vec::new()),
            ("https://example.com/a#b", Vec::new()),
            ("mailto:a@example.com", Vec::new()),
            ("example.com", Vec::new()),
        ] {
            assert_eq!(well_known(issuer), expect, "{issuer}");
        }
    }

    /// Case 18: RFC 8414, 3.3; Discovery, 4.3.
    #[test]
    fn rfc8414_3_3_metadata_is_that_of_the_issuer_that_was_asked() {
        for (asked, said, expect) in [
            (ISSUER, json!(ISSUER), true),
            (ISSUER, json!("https://evil.example"), false),
            (ISSUER, json!("https://login.example.com/"), false),
            (ISSUER, json!("https://LOGIN.example.com"), false),
            ("https://login.example.com/", json!(ISSUER), false),
            (ISSUER, json!(null), false),
            (ISSUER, json!([ISSUER]), false),
            ("", json!(""), false),
        ] {
            let mut document = good();
            document["issuer"] = said.clone();
            let parsed = parse(asked, &document);
            assert_eq!(parsed.is_ok(), expect, "{asked} {said}");
            let is_mismatch = matches!(parsed, Err(MetadataError::IssuerMismatch { .. }));
            assert_eq!(is_mismatch, !expect, "{asked} {said}");
        }
    }

    #[test]
    fn what_is_said_is_read_and_the_rest_is_as_the_rfc_says() {
        let metadata = parse(ISSUER, &good()).unwrap();
        let authorize = metadata.authorization_endpoint.as_deref();
        assert_eq!(authorize, Some("https://login.example.com/authorize?tenant=1"));
        assert_eq!(metadata.par_endpoint.as_deref(), Some("https://login.example.com/par"));
        assert!(metadata.iss_parameter_supported && !metadata.require_par);
        assert_eq!(metadata.id_token_algorithms, [Algorithm::RS256, Algorithm::EdDSA]);
        assert_eq!(metadata.token_auth_methods, ["client_secret_basic"]);
        assert_eq!(metadata.revocation_endpoint, None);
        for text in ["", "[]", "null", "{"] {
            assert_eq!(Metadata::parse(ISSUER, text), Err(MetadataError::NotAnObject), "{text}");
        }
    }

    #[test]
    fn rfc8414_2_endpoints_are_as_safe_as_the_issuer() {
        for (issuer, endpoint, expect) in [
            (ISSUER, "https://other.example/token", true),
            (ISSUER, "http://login.example.com/token", false),
            (ISSUER, "https://login.example.com/token#x", false),
            (ISSUER, "https://login.example.com/to\r\nken", false),
            (ISSUER, " https://login.example.com/token", false),
            (ISSUER, "https://login.example.com/\u{e9}", false),
            (ISSUER, "javascript:alert(1)", false),
            (ISSUER, "/token", false),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000/token", true),
        ] {
            let document = json!({"issuer": issuer, "token_endpoint": endpoint});
            let parsed = parse(issuer, &document);
            let endpoint_error = Err(MetadataError::Endpoint("token_endpoint"));
            assert_eq!(parsed.is_ok(), expect, "{endpoint}");
            assert!(expect || parsed == endpoint_error, "{endpoint}");
        }
    }

    /// Case 21: who can do PKCE, does.
    #[test]
    fn rfc9700_4_8_2_whether_pkce_can_be_done_is_known() {
        for (methods, expect) in [
            (json!(["S256"]), Some(true)),
            (json!(["plain", "S256"]), Some(true)),
            (json!(["plain"]), Some(false)),
            (json!([]), None),
            (json!(null), None),
        ] {
            let mut document = good();
            document["code_challenge_methods_supported"] = methods.clone();
            assert_eq!(parse(ISSUER, &document).unwrap().supports_pkce(), expect, "{methods}");
        }
    }
}
