//! OAuth: registrations at providers, flows, and the connections that come of them.

mod authorization;
mod client;
mod connection;
mod subscription;

use axum::http::StatusCode;
use ringback_domain::{
    id::{ApplicationId, Kind},
    oauth::connection::State,
    scope::Reference,
};
use utoipa_axum::router::OpenApiRouter;

use super::{Api, error::Error, extract::Caller, field::Problems};
use crate::oauth::Trouble;

/// The most scopes of a flow, and the longest, in characters.
const SCOPES: usize = 200;
const SCOPE_LENGTH: usize = 512;
/// The longest name of a person, in characters.
const USER_REF_LENGTH: usize = 256;

/// The routes of these resources.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .merge(client::routes())
        .merge(authorization::routes())
        .merge(connection::routes())
        .merge(subscription::routes())
}

/// The application that is named, by id or uid.
async fn application(api: &Api, caller: Caller, named: &str) -> Result<ApplicationId, Error> {
    let named = Reference::parse(Kind::Application, named);
    Ok(api.store.application(caller.environment, named).await?.id)
}

/// Scopes as they stand in a body (RFC 6749, section 3.3).
fn check_scopes(problems: &mut Problems, scopes: &[String]) {
    let is_token = |c: u8| c == 0x21 || (0x23..=0x5b).contains(&c) || (0x5d..=0x7e).contains(&c);
    let is_scope = |scope: &String| {
        !scope.is_empty() && scope.len() <= SCOPE_LENGTH && scope.bytes().all(is_token)
    };
    if scopes.len() > SCOPES {
        problems.add("scopes", format!("it has at most {SCOPES} items"));
    } else if !scopes.iter().all(is_scope) {
        problems.add("scopes", "a scope is printable ASCII without blanks, quotes and backslashes");
    }
}

/// The application's name for a person.
fn check_user_ref(problems: &mut Problems, user_ref: Option<String>) -> Option<String> {
    let user_ref = problems.required("userRef", user_ref)?;
    if user_ref.is_empty() || user_ref.chars().count() > USER_REF_LENGTH {
        problems.add("userRef", format!("it has 1 to {USER_REF_LENGTH} characters"));
    } else if user_ref.chars().any(char::is_control) {
        problems.add("userRef", "it may not contain control characters");
    }
    Some(user_ref)
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        let mut detail = trouble.to_string();
        if let Trouble::Refused { description: Some(description), .. } = &trouble {
            detail = format!("{detail}: {description}");
        }
        match trouble {
            Trouble::Refused { .. } | Trouble::Unbelievable(_) => {
                Error::Conflict { code: "provider_refused", detail }
            }
            Trouble::Away(_) => {
                tracing::warn!(detail, "a provider is away");
                Error::Unavailable {
                    code: "provider_unavailable",
                    detail: "the provider cannot be reached at the moment",
                    retry_after: "5",
                }
            }
            Trouble::Misconfigured(_) => Error::Refused { code: "oauth_misconfigured", detail },
            Trouble::NotSupported(_) => Error::Refused { code: "not_supported", detail },
            Trouble::Stage(stage) => Error::Conflict { code: stage_code(stage), detail },
            Trouble::WrongUser => Error::Denied { code: "wrong_user", detail },
            Trouble::WrongConfirmation => Error::Denied { code: "wrong_confirmation", detail },
            Trouble::Inactive { state, .. } => {
                let code = match state {
                    State::Revoked => "connection_revoked",
                    _ => "reauthorization_required",
                };
                Error::Conflict { code, detail }
            }
            Trouble::Pending(_) => Error::Conflict { code: "authorization_pending", detail },
            Trouble::NotFound(what) => Error::NotFound(what),
            Trouble::Store(error) => error.into(),
            Trouble::Internal => Error::Internal,
        }
    }
}

fn stage_code(stage: &str) -> &'static str {
    match stage {
        "pending" => "authorization_pending",
        "returned" => "authorization_returned",
        "exchanging" => "authorization_exchanging",
        "completed" => "authorization_completed",
        "expired" => "authorization_expired",
        "canceled" => "authorization_canceled",
        _ => "authorization_failed",
    }
}

/// 201.
const CREATED: StatusCode = StatusCode::CREATED;
