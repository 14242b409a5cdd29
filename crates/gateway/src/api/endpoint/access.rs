//! What opens an endpoint, and the SDKs' two routes to parts of it.

use axum::{extract::State, response::Response};
use ringback_domain::{
    delivery::access::{Access, ClientCertificate, Credentials, LONGEST_PEM, Oauth2, Secret},
    id::Key,
    scope::{Reference, Scope},
    target::Rules,
};
use ringback_store::{SealedAccess, WriteError};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Json, Named, Scoped},
        field::Problems,
        reply::nothing,
        vault::{self, Vault},
    },
    outbound::{self, Identity, IdentityError},
};

/// How often a change is tried again when somebody else changes it at the same time.
const RETRIES: usize = 5;
/// What is wrong with certificates that are to be believed.
const NO_AUTHORITY: &str = "it holds no certificate in PEM that can be used, or one that cannot";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(set_oauth, delete_oauth))
        .routes(routes!(set_mtls, delete_mtls))
}

/// How an endpoint's tokens are fetched.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointOauthConfigIn {
    /// Where tokens are given out.
    #[schema(required, nullable = false, example = "https://login.example.com/token")]
    token_url: Option<Value>,
    /// Who asks.
    #[schema(required, nullable = false, value_type = Option<String>)]
    client_id: Option<Value>,
    /// What proves it.
    #[schema(required, nullable = false, value_type = Option<String>)]
    client_secret: Option<Value>,
    /// `clientCredentials`.
    #[schema(example = "clientCredentials")]
    grant_type: Option<String>,
    /// `clientSecretBasic` or `clientSecretPost`.
    #[schema(value_type = Option<String>, example = "clientSecretBasic")]
    auth_method: Option<Value>,
    /// What is asked for.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Value>,
    /// More fields of the request, by name.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    extra_params: Option<Value>,
}

/// What connections to an endpoint show, and whom they believe.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointMtlsConfigIn {
    /// A private key and its certificate, both in PEM.
    #[schema(required, nullable = false)]
    identity: Option<String>,
    /// Certificates in PEM: the only authorities that are believed.
    server_ca_cert: Option<String>,
}

/// Set the OAuth 2.0 client of an endpoint
///
/// The other credentials of its `access` are replaced; `tls` and `ca` stay.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/oauth", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointOauthConfigIn,
    responses((status = 204)))]
async fn set_oauth(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointOauthConfigIn>,
) -> Result<Response, Error> {
    let oauth2 = body.checked(api.rules.target)?;
    let credentials = Credentials::Oauth2(Box::new(oauth2));
    let set = |access| Access { credentials: Some(credentials.clone()), ..access };
    change(&api, scoped, endpoint, set).await
}

/// Remove the OAuth 2.0 client of an endpoint
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/oauth",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete_oauth(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    let is_other = |credentials: &Credentials| !matches!(credentials, Credentials::Oauth2(_));
    let remove = |access: Access| {
        let credentials = access.credentials.clone().filter(is_other);
        Access { credentials, ..access }
    };
    change(&api, scoped, endpoint, remove).await
}

/// Set the client certificate of an endpoint
///
/// `tls` and `ca` of its `access` are replaced; its credentials stay.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/mtls", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointMtlsConfigIn,
    responses((status = 204)))]
async fn set_mtls(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointMtlsConfigIn>,
) -> Result<Response, Error> {
    let (tls, ca) = body.checked()?;
    let set = |access| Access { tls: Some(tls.clone()), ca: ca.clone(), ..access };
    change(&api, scoped, endpoint, set).await
}

/// Remove the client certificate of an endpoint
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/mtls", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete_mtls(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    change(&api, scoped, endpoint, |access| Access { tls: None, ca: None, ..access }).await
}

/// Replaces what opens the endpoint by what `edit` makes of it, whoever else does so at the same time.
async fn change(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    edit: impl Fn(Access) -> Access,
) -> Result<Response, Error> {
    for _ in 0..RETRIES {
        let stored = api.store.endpoint_secrets(scope, endpoint.clone()).await?;
        let there = open(&api.vault, scope, stored.endpoint, stored.access.as_deref())?;
        let access = edit(there);
        let sealed = (access != Access::default())
            .then(|| seal(&api.vault, scope, stored.endpoint, &access))
            .transpose()?;
        let set = api.store.set_access(scope, endpoint.clone(), stored.access, sealed, now);
        match set.await {
            Err(WriteError::Conflict(_)) => {}
            set => {
                api.lanes.changed(set?).await;
                return Ok(nothing());
            }
        }
    }
    let detail = "the access is being changed by others all the time".to_owned();
    Err(Error::Conflict { code: "conflict", detail })
}

impl EndpointOauthConfigIn {
    fn checked(self, rules: Rules) -> Result<Oauth2, Error> {
        let mut problems = Problems::of_body();
        problems.required("tokenUrl", self.token_url.as_ref());
        problems.required("clientId", self.client_id.as_ref());
        problems.required("clientSecret", self.client_secret.as_ref());
        if self.grant_type.is_some_and(|grant| grant != "clientCredentials") {
            problems.add("grantType", "only clientCredentials is supported");
        }
        problems.done()?;
        let mut fields = json!({
            "type": "oauth2",
            "tokenUrl": self.token_url,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
        });
        for (name, value) in [
            ("authMethod", self.auth_method),
            ("scopes", self.scopes),
            ("extraParams", self.extra_params),
        ] {
            if let Some(value) = value {
                fields[name] = value;
            }
        }
        let mut problems = Problems::of_body();
        match read(&mut problems, &["body"], &fields, rules).map(|access| access.credentials) {
            Some(Some(Credentials::Oauth2(oauth2))) => Ok(*oauth2),
            _ => Err(problems.done().err().unwrap_or(Error::Internal)),
        }
    }
}

impl EndpointMtlsConfigIn {
    fn checked(self) -> Result<(ClientCertificate, Option<String>), Error> {
        let mut problems = Problems::of_body();
        let is_given = problems.required("identity", self.identity.as_ref()).is_some();
        let identity = Zeroizing::new(self.identity.unwrap_or_default());
        // Both are in it, and each is found by what it is.
        let tls = ClientCertificate {
            client_certificate: certificates_of(&identity),
            client_key: Secret::from(identity.to_string()),
        };
        if is_given && let Err(error) = identity_of(&tls) {
            problems.add("identity", error);
        }
        if self.server_ca_cert.as_ref().is_some_and(|ca| outbound::roots(ca.as_bytes()).is_err()) {
            problems.add("serverCaCert", NO_AUTHORITY);
        }
        for (name, pem) in
            [("identity", Some(&*identity)), ("serverCaCert", self.server_ca_cert.as_ref())]
        {
            if pem.is_some_and(|pem| pem.len() > LONGEST_PEM) {
                problems.add(name, format!("it is longer than {LONGEST_PEM} bytes"));
            }
        }
        problems.done()?;
        Ok((tls, self.server_ca_cert))
    }
}

/// What of a PEM text is no secret.
fn certificates_of(pem: &str) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split(BEGIN).skip(1).filter_map(|block| block.split_once(END));
    blocks.map(|(inside, _)| format!("{BEGIN}{inside}{END}\n")).collect()
}

/// What a body wants, if it can be; notes what cannot, and where it says so.
pub(super) fn checked(
    problems: &mut Problems,
    access: Option<Option<Value>>,
    rules: Rules,
) -> Option<Option<Access>> {
    access.map(|access| {
        let access = access?;
        read(problems, &["body", "access"], &access, rules)
    })
}

fn read(problems: &mut Problems, path: &[&str], value: &Value, rules: Rules) -> Option<Access> {
    let mut wrong = |place: &[&str], what: String| {
        let path: Vec<&str> = path.iter().chain(place).copied().collect();
        let mut here = Problems::at(&path);
        here.add_here(what);
        problems.append(here);
    };
    let access = match Access::read(value, rules) {
        Ok(access) => access,
        Err(mistake) => {
            wrong(&mistake.place().collect::<Vec<_>>(), mistake.to_string());
            return None;
        }
    };
    if let Some(Err(error)) = access.tls.as_ref().map(identity_of) {
        let field = match error {
            IdentityError::Certificate => "clientCertificate",
            IdentityError::Key | IdentityError::Mismatch => "clientKey",
        };
        wrong(&["tls", field], error.to_string());
    }
    if access.ca.as_ref().is_some_and(|ca| outbound::roots(ca.as_bytes()).is_err()) {
        wrong(&["ca"], NO_AUTHORITY.to_owned());
    }
    Some(access)
}

fn identity_of(tls: &ClientCertificate) -> Result<Identity, IdentityError> {
    Identity::read(tls.client_certificate.as_bytes(), tls.client_key.as_bytes())
}

/// What everybody may see of it, as JSON text.
pub(super) fn shown(access: &Access) -> Option<String> {
    serde_json::to_string(&access.shown()).ok()
}

/// It as it is stored.
pub(super) fn seal(
    vault: &Vault,
    scope: Scope,
    endpoint: Key,
    access: &Access,
) -> Result<SealedAccess, Error> {
    let text = serde_json::to_vec(access).map(Zeroizing::new).map_err(|_| Error::Internal)?;
    let sealed = vault.seal(&place(scope, endpoint), &text)?;
    Ok(SealedAccess { sealed, shown: shown(access).ok_or(Error::Internal)? })
}

fn open(
    vault: &Vault,
    scope: Scope,
    endpoint: Key,
    sealed: Option<&[u8]>,
) -> Result<Access, Error> {
    let Some(sealed) = sealed else { return Ok(Access::default()) };
    let text = vault.open(&place(scope, endpoint), sealed)?;
    // It was held against the rules when it was made; the engine does so again.
    let rules = Rules { require_https: false };
    let value = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    Access::read(&value, rules).map_err(|_| unreadable())
}

fn place(scope: Scope, endpoint: Key) -> vault::Context<'static> {
    let Scope { environment, .. } = scope;
    vault::Context { environment, owner: endpoint, purpose: vault::ACCESS }
}

fn unreadable() -> Error {
    tracing::error!("what opens an endpoint cannot be read");
    Error::Internal
}
