//! A browser begins: it is sent to the provider, with a request that is made now.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ringback_domain::{
    oauth::{
        Authorization,
        authorization::{Flow, Stage},
        pkce,
        provider::Proofs,
        request::{self, AuthorizationRequest},
        ticket::{self, Presented, Purpose},
    },
    time::Timestamp,
};

use super::{Oauth, Registration, Trouble, page};
use crate::callback::{guarded, is_prefetch};

/// Somebody looks, and goes nowhere.
pub(super) async fn look() -> Response {
    guarded(Response::default())
}

/// Sends a browser to the provider. Whoever comes again gets the same request, until somebody has come
/// back: links are loaded twice.
pub(super) async fn start(
    State(oauth): State<Oauth>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
) -> Response {
    if is_prefetch(&headers) {
        return nothing_yet();
    }
    let now = oauth.now();
    let flow = match oauth.presented(Purpose::Start, &ticket, now).await {
        Ok(Some(flow)) => flow,
        Ok(None) => return page::nothing(),
        Err(_) => return page::later(),
    };
    if flow.stage != Stage::Pending || flow.flow != Flow::Code {
        return page::over();
    }
    match oauth.request(&flow, now).await {
        Ok(url) => see_other(&url),
        Err(Trouble::Away(why)) => {
            tracing::warn!(authorization = %flow.id, why, "a flow cannot be begun now");
            page::later()
        }
        Err(trouble) => {
            tracing::warn!(authorization = %flow.id, %trouble, "a flow cannot be begun");
            page::wrong(
                StatusCode::BAD_GATEWAY,
                "This does not work",
                "The service that you would be sent to cannot be used as it is set up here.",
            )
        }
    }
}

impl Oauth {
    /// The flow that a ticket opens, as it is at `now`.
    pub(super) async fn presented(
        &self,
        purpose: Purpose,
        ticket: &str,
        now: Timestamp,
    ) -> Result<Option<Authorization>, Trouble> {
        let keys = &self.parts().keys;
        let Some(presented) = Presented::read(keys, purpose, ticket) else { return Ok(None) };
        let flow = self.parts().store.authorization_by_id(presented.id).await?;
        let flow = flow.filter(|flow| presented.opens(keys, flow.turn));
        Ok(flow.map(|flow| flow.at(now)))
    }

    /// Where the browser goes.
    async fn request(&self, flow: &Authorization, now: Timestamp) -> Result<String, Trouble> {
        let registration = self.registration_of(flow.client).await?;
        let Registration { endpoints, .. } = &registration;
        let request = self.authorization_request(flow, &registration)?;
        let authorize = endpoints.authorize.as_deref();
        let authorize = authorize.ok_or(Trouble::NotSupported("authorization endpoint"))?;
        let object = match registration.signs_requests() {
            true => {
                let object = request.object(&registration.key()?, registration.audience(), now);
                Some(object.ok_or_else(|| Trouble::internal("a request is not signed", flow.id))?)
            }
            false => None,
        };
        let Some(par) = &endpoints.par else {
            return Ok(match object {
                Some(object) => request.url_with_object(authorize, &object),
                None => request.url(authorize),
            });
        };
        let jti = self.jti();
        let proof = registration.proof(&jti, now)?;
        let heard = self.ask(request.par(par, &proof.auth(), object.as_deref())).await?;
        let pushed = request::pushed(heard.status, heard.content_type.as_deref(), &heard.body)?;
        Ok(request.url_pushed(authorize, &pushed))
    }

    fn authorization_request(
        &self,
        flow: &Authorization,
        registration: &Registration,
    ) -> Result<AuthorizationRequest, Trouble> {
        let gone = || Trouble::internal("a flow's key is gone", flow.id);
        let secret = |purpose| self.secret(purpose, flow.id, flow.turn).ok_or_else(gone);
        let verifier = secret(Purpose::Verifier)?;
        let challenge = pkce::challenge(verifier.as_str());
        let challenge = challenge.map_err(|error| Trouble::internal("no verifier", error))?;
        let nonce = secret(Purpose::Nonce)?;
        let state = ticket::ticket(&self.parts().keys, Purpose::State, flow.id, flow.turn);
        let mut request = registration.provider.request(
            &registration.endpoints,
            &registration.client.client_id,
            &self.redirect_uri(flow.client),
            registration.scopes(&flow.scopes),
            state.ok_or_else(gone)?.as_str(),
            Proofs { challenge: &challenge, nonce: nonce.as_str() },
        );
        // What the application says about this person goes before what is said about all.
        request.extra.retain(|(name, _)| flow.params.iter().all(|(given, _)| given != name));
        request.extra.extend(flow.params.iter().cloned());
        Ok(request)
    }
}

/// 204 to whoever only prepares for somebody who may come.
pub(super) fn nothing_yet() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    guarded(response)
}

/// 303: what follows is a GET, whatever this was (RFC 9700, section 4.12).
pub(super) fn see_other(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else { return page::nothing() };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    guarded(response)
}
