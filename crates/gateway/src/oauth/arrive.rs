//! A browser comes back: what it brings is held against the flow that it names, and the browser is sent
//! on to the application's page. No code is exchanged here, unless the browser is bound to the flow.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::Response,
};
use http::{HeaderMap, Method, header};
use ringback_domain::{
    callback::{redirect::Target, told::is_form},
    id::OauthClientId,
    oauth::{
        Authorization, Client,
        authorization::{Act, Binding, Flow, Verdict},
        response::{self, Brought},
        ticket::{self, Purpose},
    },
    seal::Context,
    time::Timestamp,
};
use ringback_store::AuthorizationStep;
use serde::{Deserialize, Serialize};

use super::{
    Oauth, Registration, Trouble, cookie_name, page,
    start::{nothing_yet, see_other},
};
use crate::{
    api,
    callback::{guarded, is_prefetch},
};

/// The most that is waited for a form.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest time between a person's return and the exchange of the code, whatever the provider
/// allows.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// What a code and what came with it are sealed as.
pub(crate) const PURPOSE: &str = "authorization-code";

/// What is kept of what a browser brought until it is exchanged.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) code: zeroize::Zeroizing<String>,
    /// Whatever else came: evidence, of which the provider's file may name something to keep.
    pub(super) extra: Vec<(String, String)>,
}

/// Somebody looks, and nothing happens.
pub(super) async fn look() -> Response {
    guarded(Response::default())
}

/// What is brought in the query.
pub(super) async fn get(
    State(oauth): State<Oauth>,
    Path(context): Path<String>,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if is_prefetch(request.headers()) {
        return nothing_yet();
    }
    oauth.arrive(&context, &query, b"", request.headers()).await
}

/// What is brought in a form (OAuth 2.0 Form Post Response Mode, section 2).
pub(super) async fn post(
    State(oauth): State<Oauth>,
    Path(context): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    debug_assert_eq!(parts.method, Method::POST);
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    if !is_form(content_type) {
        return page::refused("What came is no form.");
    }
    match api::read_body(&parts.headers, body, response::MAX, PATIENCE).await {
        Ok(form) => {
            let query = parts.uri.query().unwrap_or_default();
            oauth.arrive(&context, query, &form, &parts.headers).await
        }
        Err(error) => axum::response::IntoResponse::into_response(error),
    }
}

/// How it goes on.
enum Onwards {
    /// The browser is sent on to the application's page, with these fields.
    Target(Box<Authorization>, Vec<(&'static str, String)>),
    /// It sees a page.
    Page(Response),
}

impl From<Trouble> for Onwards {
    fn from(trouble: Trouble) -> Onwards {
        tracing::warn!(%trouble, "a browser that came back cannot be sent on");
        Onwards::Page(page::later())
    }
}

impl Oauth {
    async fn arrive(
        &self,
        context: &str,
        query: &str,
        form: &[u8],
        headers: &HeaderMap,
    ) -> Response {
        let onwards = self.arrived(context, query, form, headers).await;
        match onwards.unwrap_or_else(|early| early) {
            Onwards::Page(response) => response,
            Onwards::Target(flow, fields) => self.send_on(&flow, &fields),
        }
    }

    /// What becomes of what is brought. What cannot be told apart from an attack ends on a page, and
    /// changes nothing.
    async fn arrived(
        &self,
        context: &str,
        query: &str,
        form: &[u8],
        headers: &HeaderMap,
    ) -> Result<Onwards, Onwards> {
        let now = self.now();
        let unknown = || Onwards::Page(page::nothing());
        let refused = |why: &str| Onwards::Page(page::refused(why));
        let id: OauthClientId = format!("ocl_{context}").parse().map_err(|_| unknown())?;
        let client = self.parts().store.oauth_client_by_id(id).await;
        let client = client.map_err(Trouble::from)?.ok_or_else(unknown)?;
        let brought = response::read(query, form).map_err(|error| {
            refused(&format!("What came with your browser is not valid: {error}."))
        })?;
        let (registration, brought) = self.read_signed(&client, brought).await?;

        let state = brought.state.as_deref();
        let state = state.ok_or_else(|| refused("What came with your browser names nothing."))?;
        let flow = self.presented(Purpose::State, state, now).await?;
        // A state of another client was brought here by somebody who mixes them up
        // (draft-ietf-oauth-security-topics-update, section 2.2).
        let flow = flow.filter(|flow| flow.client == id && flow.flow == Flow::Code);
        let flow =
            flow.ok_or_else(|| refused("What came with your browser belongs to nothing here."))?;
        if flow.binding == Binding::Cookie && !self.is_bound(&flow, headers) {
            return Err(refused("You have begun this in another browser."));
        }
        if !flow.stage.is_open() {
            return Err(Onwards::Page(page::over()));
        }
        let endpoints = &registration.endpoints;
        let (issuer, requires) = (endpoints.issuer.as_deref(), endpoints.requires_iss);
        if let Err(error) = response::check_issuer(brought.iss.as_deref(), issuer, requires) {
            tracing::warn!(authorization = %flow.id, %error, "another issuer answered");
            return self.refuse(&flow, "issuer_mismatch", now).await;
        }
        if let Some(error) = &brought.error {
            return self.refuse(&flow, &word(error), now).await;
        }
        let given = registration.given(&serde_json::Map::new());
        if let Err(reason) = registration.provider.proven(query, &given, now) {
            tracing::warn!(authorization = %flow.id, %reason, "what a browser brought is not proven");
            return self.refuse(&flow, "unproven_callback", now).await;
        }
        self.keep(&flow, &registration, brought, now).await
    }

    /// What is brought, taken out of its signature if it has one (JARM, section 2.3).
    async fn read_signed(
        &self,
        client: &Client,
        brought: Brought,
    ) -> Result<(Registration, Brought), Onwards> {
        let registration = self.registration(client.clone()).await?;
        let Some(signed) = &brought.response else {
            return match registration.signs_responses() {
                true => {
                    Err(Onwards::Page(page::refused("What came with your browser is not signed.")))
                }
                false => Ok((registration, brought)),
            };
        };
        match self.verify_response(&registration, signed).await {
            Ok(brought) => Ok((registration, brought)),
            Err(trouble @ (Trouble::Away(_) | Trouble::Store(_))) => Err(trouble.into()),
            Err(trouble) => {
                tracing::warn!(client = %client.id, %trouble, "a signed response is not valid");
                let why = "What came with your browser is not signed by the service you came from.";
                Err(Onwards::Page(page::refused(why)))
            }
        }
    }

    /// Whether the browser has the cookie that the application has set for this flow.
    fn is_bound(&self, flow: &Authorization, headers: &HeaderMap) -> bool {
        let name = cookie_name(flow.id);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
        let pairs = cookies.flat_map(|all| all.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == name).then_some(value)
        });
        values.any(|value| {
            ticket::is_secret(&self.parts().keys, Purpose::Binding, flow.id, flow.turn, value)
        })
    }

    /// Ends a flow from which nothing comes, and sends the browser on to hear it.
    async fn refuse(
        &self,
        flow: &Authorization,
        reason: &str,
        now: Timestamp,
    ) -> Result<Onwards, Onwards> {
        let act = Act::Refuse { reason: reason.to_owned() };
        let stepped = self.step(flow, act, now).await?;
        match stepped.verdict {
            Verdict::Taken => {
                let fields = vec![("error", reason.to_owned())];
                Ok(Onwards::Target(Box::new(stepped.authorization), fields))
            }
            _ => Ok(Onwards::Page(page::over())),
        }
    }

    /// Keeps the code until the application has said who came back.
    async fn keep(
        &self,
        flow: &Authorization,
        registration: &Registration,
        brought: Brought,
        now: Timestamp,
    ) -> Result<Onwards, Onwards> {
        let Some(code) = brought.code else {
            return Err(Onwards::Page(page::refused("What came with your browser has no code.")));
        };
        let kept = Kept { code, extra: brought.extra };
        let sealed = self.seal(&place(flow), &kept)?;
        let deadline = now + registration.code_lifetime().min(LONGEST);
        let stepped = self.step(flow, Act::Return { sealed, deadline }, now).await?;
        let flow = stepped.authorization;
        match stepped.verdict {
            Verdict::Taken if flow.binding == Binding::Cookie => {
                let user_ref = flow.user_ref.clone();
                let fields = match self.confirm_flow(&flow, &user_ref).await {
                    Ok(_) => vec![("status", "completed".to_owned())],
                    Err(trouble) => vec![("error", trouble.word())],
                };
                Ok(Onwards::Target(Box::new(flow), fields))
            }
            Verdict::Taken => {
                let secret = self.secret(Purpose::Confirmation, flow.id, flow.turn);
                let secret = secret.ok_or(Trouble::Internal)?;
                let fields = vec![("confirmation", secret.as_str().to_owned())];
                Ok(Onwards::Target(Box::new(flow), fields))
            }
            // Somebody came back with it before: who it was is not told to whoever comes second.
            _ => Ok(Onwards::Page(page::over())),
        }
    }

    /// A step of a flow that has no connection with it.
    pub(super) async fn step(
        &self,
        flow: &Authorization,
        act: Act,
        now: Timestamp,
    ) -> Result<ringback_store::AuthorizationStepped, Trouble> {
        let step = AuthorizationStep {
            authorization: flow.id,
            act,
            connection: None,
            keeping: self.keeping(now),
            now,
        };
        Ok(self.parts().store.step_authorization(step).await?)
    }

    /// What was kept when the browser came back.
    pub(super) fn open_kept(&self, flow: &Authorization) -> Result<Kept, Trouble> {
        self.open(&place(flow), flow.sealed.as_deref().ok_or(Trouble::Internal)?)
    }

    /// 303 to the page that the flow names, if it is still one of those that are listed.
    fn send_on(&self, flow: &Authorization, fields: &[(&'static str, String)]) -> Response {
        if Target::listed(&flow.return_to, &self.parts().targets).is_err() {
            tracing::error!(authorization = %flow.id, "a browser can be sent on to nowhere");
            return page::refused("The page that you came from is no longer known.");
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("authorization", &flow.id.to_string());
        for (name, value) in fields {
            query.append_pair(name, value);
        }
        let between = if flow.return_to.contains('?') { '&' } else { '?' };
        see_other(&format!("{}{between}{}", flow.return_to, query.finish()))
    }
}

/// What a flow's code belongs to.
fn place(flow: &Authorization) -> Context<'static> {
    Context { environment: flow.scope.environment, owner: flow.id.key(), purpose: PURPOSE }
}

/// A provider's `error` as a word that can stand anywhere (RFC 6749, section 4.1.2.1, allows more).
fn word(error: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let word: String = error.chars().filter(|c| is_word(*c)).take(64).collect();
    if word.is_empty() { "error".to_owned() } else { word }
}
