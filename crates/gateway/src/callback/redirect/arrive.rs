//! A browser comes back: what it brings is written down, judged as far as it can be at once, and the
//! browser is sent on.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use ringback_domain::{
    callback::{
        Act, By, Callback, Purpose,
        redirect::{Arrival, Finding, Target, Verifier, status},
        state, told,
    },
    time::Timestamp,
};
use ringback_store::{CallbackStep, NewCallbackRequest};

use super::{Lookup, Options, options::Plan};
use crate::{
    api,
    callback::{
        Secrets, Waited,
        commit::answer,
        door::{Door, Hit, Verb, unavailable},
        errand::Work,
        page, reply,
    },
    http::Upload,
};

/// The largest form that a browser brings, in bytes.
const FORM: usize = 64 * 1024;
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// How long a browser waits that may be held, before it sees that it is.
const GLANCE: Duration = Duration::from_secs(1);
/// For how many seconds the page is to be seen before the browser asks again: with none, it may never
/// be drawn.
const SHOWN: u32 = 1;
/// Loads another page after this one, in every browser and without a script.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

impl Door {
    /// A browser that comes back.
    pub(in crate::callback) async fn redirect(&self, hit: Hit<'_>, body: Upload) -> Response {
        let Some(options) = hit.terms.redirect.clone() else { return reply::unknown() };
        match (hit.verb, &hit.parts.method) {
            (Verb::Answer, method) if *method == Method::OPTIONS => reply::options(METHODS),
            // Somebody looks, or prepares for somebody who may come: that is no arrival.
            (Verb::Answer, method) if *method == Method::HEAD => {
                self.send_on(&options, &hit.callback, hit.now)
            }
            (Verb::Answer, _) if page::is_prefetch(&hit.parts.headers) => {
                reply::empty(StatusCode::NO_CONTENT)
            }
            (Verb::Answer, method) if *method == Method::GET => {
                self.arrive(&options, hit, Bytes::new()).await
            }
            (Verb::Answer, method) if *method == Method::POST => {
                let patience = self.read_timeout();
                match api::read_body(&hit.parts.headers, body, FORM, patience).await {
                    Ok(body) => self.arrive(&options, hit, body).await,
                    Err(error) => axum::response::IntoResponse::into_response(error),
                }
            }
            (Verb::Hold(until), method) if *method == Method::GET => {
                self.hold(&options, hit, until).await
            }
            (Verb::Answer | Verb::Hold(_), _) => reply::method_not_allowed(METHODS),
            _ => reply::unknown(),
        }
    }

    async fn arrive(&self, options: &Options, hit: Hit<'_>, body: Bytes) -> Response {
        let callbacks = self.callbacks();
        let Some(secrets) = Secrets::open(&callbacks.parts().keyring, &hit.callback) else {
            tracing::error!(callback = %hit.callback.id, "a callback's settings cannot be opened");
            return unavailable();
        };
        let plan = options.plan(&hit.callback, &secrets.redirect);
        let is_form = told::is_form(hit.content_type());
        let arrival = Arrival {
            method: hit.parts.method.as_str(),
            query: hit.parts.uri.query().unwrap_or_default(),
            form: if is_form { &body } else { b"" },
        };
        if let Err(response) = self.ask_later(&plan, &hit, &arrival).await {
            return response;
        }
        let steps = self.steps(&plan, &hit, &arrival, &body);
        let stepped = match callbacks.steps(steps).await {
            Ok(stepped) => stepped,
            Err(error) => {
                tracing::warn!(callback = %hit.callback.id, %error, "an arrival was not taken");
                return unavailable();
            }
        };
        let Some(last) = stepped.into_iter().flatten().last() else { return reply::unknown() };
        let callback = last.callback.at(hit.now);
        if !callback.course.state.is_open() || options.hold == 0 || plan.verifiers.is_empty() {
            return self.send_on(options, &callback, hit.now);
        }
        // Most are certain before a page is looked at.
        match callbacks.wait(callback.scope.environment, callback.id, GLANCE).await {
            Ok(Waited { callback, .. }) if !callback.course.state.is_open() => {
                self.send_on(options, &callback, hit.now)
            }
            _ => self.hold_page(options, &callback, hit.now),
        }
    }

    /// Puts the question to the gateway down, if there is one and somebody still waits for its answer.
    async fn ask_later(
        &self,
        plan: &Plan,
        hit: &Hit<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<(), Response> {
        let lookup = Lookup {
            method: arrival.method.to_owned(),
            query: arrival.query.to_owned(),
            form: String::from_utf8_lossy(arrival.form).into_owned(),
            require_https: self.require_https(),
        };
        if !hit.callback.course.state.is_open() || !lookup.asks(plan) {
            return Ok(());
        }
        let (callbacks, id) = (self.callbacks(), hit.callback.id);
        let errand = callbacks.errand(&hit.callback, &Work::Lookup(lookup), hit.now);
        let errand = errand.map_err(|error| {
            tracing::error!(callback = %id, %error, "a lookup cannot be sealed");
            unavailable()
        })?;
        callbacks.parts().store.put_errand(errand).await.map_err(|error| {
            tracing::warn!(callback = %id, %error, "a lookup was not put down");
            unavailable()
        })?;
        callbacks.errand_made().notify_one();
        Ok(())
    }

    /// What happens to the callback: it is returned to; and it ends, if a signature says so.
    fn steps(
        &self,
        plan: &Plan,
        hit: &Hit<'_>,
        arrival: &Arrival<'_>,
        body: &Bytes,
    ) -> Vec<CallbackStep> {
        let (callbacks, id, now) = (self.callbacks(), hit.callback.id, hit.now);
        let fields = Bytes::copy_from_slice(arrival.fields());
        let brought = |act| NewCallbackRequest { act, ..self.request(hit, None, body.clone()) };
        let signed = |act| NewCallbackRequest {
            by: By::Signature,
            content_type: Some(told::FORM.to_owned()),
            body: fields.clone(),
            ..brought(act)
        };
        let mut steps = vec![callbacks.act(id, state::Act::Return, brought(Act::Return), now)];
        for verifier in &plan.verifiers {
            let Verifier::Signature(signature) = verifier else { continue };
            match signature.judge(arrival, &plan.settings, &plan.expected, now) {
                found @ (Finding::Complete | Finding::Fail) => {
                    let failed = found == Finding::Fail;
                    let kept = signed(if failed { Act::Fail } else { Act::Complete });
                    steps.push(callbacks.act(id, answer(failed, &fields), kept, now));
                    break;
                }
                Finding::Mismatch(field) => {
                    let refused = Some(format!("{field}_mismatch"));
                    let kept = NewCallbackRequest { refused, ..signed(Act::Complete) };
                    steps.push(callbacks.refuse(id, kept, now));
                }
                Finding::Unproven(why) => {
                    tracing::info!(callback = %id, why, "what a browser brought proves nothing");
                }
                Finding::Pending => {}
            }
        }
        steps
    }

    /// Waits until something is certain, and sends the browser on.
    async fn hold(&self, options: &Options, hit: Hit<'_>, until: Timestamp) -> Response {
        let most = Duration::from_secs(options.hold.into());
        let environment = hit.callback.scope.environment;
        let wait = until.since(hit.now).min(most);
        match self.callbacks().wait(environment, hit.callback.id, wait).await {
            Ok(waited) => self.send_on(options, &waited.callback, hit.now),
            Err(error) => {
                tracing::warn!(callback = %hit.callback.id, %error, "a held browser was let go");
                self.send_on(options, &hit.callback, hit.now)
            }
        }
    }

    /// A page that asks for patience, and loads what waits.
    fn hold_page(&self, options: &Options, callback: &Callback, now: Timestamp) -> Response {
        let until = now + Duration::from_secs(options.hold.into());
        let next = self.callbacks().url(callback).map(|url| {
            HeaderValue::try_from(format!("{SHOWN}; url={url}/{}/{}", Verb::HOLD, until.millis()))
        });
        let Some(Ok(next)) = next else { return self.send_on(options, callback, now) };
        let mut response = page::patience();
        response.headers_mut().insert(REFRESH, next);
        response
    }

    /// 303 to the target of the state that the callback is in.
    fn send_on(&self, options: &Options, callback: &Callback, now: Timestamp) -> Response {
        let callbacks = self.callbacks();
        let state = callback.course.at(now);
        let secret = callbacks.token(Purpose::Status, callback);
        // What is listed may have changed since the callback was made.
        let target = Target::of(options.target(state), &callbacks.parts().targets).ok();
        let location = target.zip(secret).and_then(|(target, secret)| {
            let secret = status::Secret::new(secret.as_str());
            let url = status::sent_on(target, callback.id, state, now, &secret);
            HeaderValue::try_from(url).ok()
        });
        let Some(location) = location else {
            tracing::error!(callback = %callback.id, "a browser can be sent on to nowhere");
            return page::nowhere();
        };
        let mut response = reply::empty(StatusCode::SEE_OTHER);
        response.headers_mut().insert(header::LOCATION, location);
        response
    }
}
