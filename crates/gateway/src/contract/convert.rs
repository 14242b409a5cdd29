//! A message is delivered: in which version, and what it becomes in that.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use ringback_domain::{
    contract::{
        conversion::{Converted, Scripts},
        pin::{self, Target},
        version::Version,
    },
    delivery::{Pins, Rendering},
    id::Key,
    time::Timestamp,
};
use ringback_store::Content;
use tokio::sync::OnceCell;

use super::{Directory, Known};
use crate::transform::{Call, Entry, Failure, Sandbox};

/// The header that names the version of what is sent.
const VERSION: &str = "ringback-schema-version";

/// A message in the version that an endpoint gets.
#[derive(Clone, Debug)]
pub struct Shaped {
    /// What is sent, with the headers that say which version it is.
    pub content: Arc<Content>,
    /// What it was made into; `body_sha256` is for whoever knows the last byte.
    pub rendering: Rendering,
}

/// Why there is nothing to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unshaped {
    /// It has no meaning in the version that the endpoint is pinned to.
    #[error("it has no meaning in version {0}")]
    Suppressed(String),
    /// It is older than what the endpoint wants at least.
    #[error("it has version {has}, and the endpoint takes none before {wants}")]
    Unavailable {
        /// The label of the message's version.
        has: String,
        /// The label of the pin.
        wants: String,
    },
    /// It could not be converted.
    #[error("{0}")]
    Failed(String),
    /// It may be converted later: no program can be run now.
    #[error("{0}")]
    Later(String),
}

impl Directory {
    /// Puts a message of a contract into the version that an endpoint gets, made at `created_at`.
    /// Nothing is made of one that has no version.
    ///
    /// # Errors
    /// [`Unshaped`]: nothing is to be sent.
    pub async fn shape(
        &self,
        contract: &Known,
        content: &Arc<Content>,
        pins: Option<&Pins>,
        created_at: Timestamp,
    ) -> Result<Option<Shaped>, Unshaped> {
        let Some(has) = content.version.and_then(|ordinal| contract.version(ordinal)) else {
            return Ok(None);
        };
        let Some(pin) = contract.pinned(&content.event_type, pins, created_at) else {
            return Ok(None);
        };
        let strict = pins.is_some_and(|pins| pins.strict);
        let to = match pin::target(has.version.ordinal, pin.version.ordinal, strict) {
            Target::Version(ordinal) => contract.version(ordinal).unwrap_or(has),
            Target::Unavailable { .. } => {
                let (has, wants) = (has.version.label.clone(), pin.version.label.clone());
                return Err(Unshaped::Unavailable { has, wants });
            }
        };
        if to.version.ordinal == has.version.ordinal {
            return Ok(Some(shaped(content, &has.version, None, Vec::new())));
        }
        match self.converted(contract, content, to.version.ordinal).await {
            Ok((Converted::Suppressed, _)) => Err(Unshaped::Suppressed(to.version.label.clone())),
            Ok((Converted::Same, _)) => Ok(Some(shaped(content, &to.version, None, Vec::new()))),
            Ok((Converted::Changed(text), revisions)) => {
                Ok(Some(shaped(content, &to.version, Some(text), revisions)))
            }
            Err(Unshaped::Failed(_)) if contract.terms.deliver_original => {
                Ok(Some(shaped(content, &has.version, None, Vec::new())))
            }
            Err(unshaped) => Err(unshaped),
        }
    }

    /// Puts a message into the version that was sent of it once, by a contract with the conversions
    /// that led there.
    ///
    /// # Errors
    /// [`Unshaped`]: nothing is to be sent.
    pub async fn shape_as(
        &self,
        contract: &Known,
        content: &Arc<Content>,
        recorded: &Rendering,
    ) -> Result<Shaped, Unshaped> {
        let label = recorded.version.as_deref().unwrap_or_default();
        let gone = || Unshaped::Failed(format!("there is no version {label} any more"));
        let to = contract.versions.iter().find(|it| it.version.label == label).ok_or_else(gone)?;
        let from = content.version.ok_or_else(gone)?;
        if from <= to.version.ordinal {
            return Ok(shaped(content, &to.version, None, Vec::new()));
        }
        let chain = contract.chain(from, to.version.ordinal).map_err(unreadable)?;
        let scripts = self.scripts(content);
        let converted = chain.convert(&content.payload, &scripts).await;
        if let Some(why) = scripts.later.get() {
            return Err(Unshaped::Later(why.clone()));
        }
        match converted.map_err(|failure| Unshaped::Failed(failure.to_string()))? {
            Converted::Suppressed => Err(Unshaped::Suppressed(to.version.label.clone())),
            Converted::Same => Ok(shaped(content, &to.version, None, Vec::new())),
            Converted::Changed(text) => {
                Ok(shaped(content, &to.version, Some(text), chain.revisions()))
            }
        }
    }

    /// What runs JavaScript of conversions of one message.
    fn scripts(&self, content: &Content) -> InSandbox<'_> {
        InSandbox {
            sandbox: self.sandbox(),
            tenant: content.scope.environment,
            at: content.id.0.created_at(),
            seed: content.id.0.nonce,
            later: OnceCell::new(),
        }
    }

    /// What a message becomes in an older version, and the revisions that lead there.
    async fn converted(
        &self,
        contract: &Known,
        content: &Content,
        to: u32,
    ) -> Result<(Converted, Vec<String>), Unshaped> {
        let from = content.version.unwrap_or(to);
        let chain = contract.chain(from, to).map_err(unreadable)?;
        let subject = (content.id.key(), to, contract.updated_at);
        let cell = self.memo().cell(subject);
        let scripts = self.scripts(content);
        let convert = || async {
            let converted = chain.convert(&content.payload, &scripts).await;
            match scripts.later.get() {
                Some(why) => Err(Unshaped::Later(why.clone())),
                None => {
                    let outcome = converted.map_err(|failure| failure.to_string());
                    self.memo().filled(subject, &outcome);
                    Ok(outcome)
                }
            }
        };
        let outcome = cell.get_or_try_init(convert).await;
        match outcome {
            Ok(Ok(converted)) => Ok((converted.clone(), chain.revisions())),
            Ok(Err(why)) => Err(Unshaped::Failed(why.clone())),
            Err(later) => {
                self.memo().forget(subject);
                Err(later)
            }
        }
    }
}

fn unreadable(label: Arc<str>) -> Unshaped {
    Unshaped::Failed(format!("the conversion from version {label} cannot be read"))
}

fn shaped(
    content: &Arc<Content>,
    version: &Version,
    text: Option<String>,
    conversions: Vec<String>,
) -> Shaped {
    let came_with = content.headers.as_deref().unwrap_or_default();
    let ours = |name: &str| [VERSION, "deprecation", "sunset"].contains(&name);
    let mut headers: Vec<(String, String)> =
        came_with.iter().filter(|(name, _)| !ours(name)).cloned().collect();
    headers.push((VERSION.to_owned(), version.label.clone()));
    if let Some(at) = version.deprecated_at {
        // RFC 9745: a date of structured fields.
        headers.push(("deprecation".to_owned(), format!("@{}", at.seconds())));
    }
    if let Some(sunset) = version.sunset_at.and_then(Timestamp::http_date) {
        // RFC 8594: an HTTP date.
        headers.push(("sunset".to_owned(), sunset));
    }
    let content = Content {
        payload: text.map_or_else(|| content.payload.clone(), Bytes::from),
        headers: Some(headers.into()),
        ..Content::clone(content)
    };
    let version = Some(version.label.clone());
    let digest = digest(&SHA256, &content.payload);
    let body_sha256 = HEXLOWER.encode(digest.as_ref());
    let rendering = Rendering { version, conversions, body_sha256, ..Rendering::default() };
    Shaped { content: Arc::new(content), rendering }
}

/// Runs JavaScript of conversions of one message.
struct InSandbox<'a> {
    sandbox: &'a Sandbox,
    tenant: Key,
    at: Timestamp,
    seed: u64,
    /// Why it could not be run this time.
    later: OnceCell<String>,
}

impl Scripts for InSandbox<'_> {
    async fn run(&self, script: &Arc<str>, payload: String) -> Result<String, String> {
        let call = Call {
            tenant: self.tenant,
            program: Arc::clone(script),
            entry: Entry::Convert,
            input: payload,
            at: self.at,
            seed: self.seed,
        };
        self.sandbox.run(call).await.map(|ran| ran.output).map_err(|failure: Failure| {
            let why = failure.to_string();
            if failure.is_passing() {
                let _ = self.later.set(why.clone());
            }
            why
        })
    }
}

/// Runs JavaScript of conversions to see what they do. Each call has another clock and other random
/// numbers: a conversion that looks at them does not do the same twice, and is found out.
pub struct Trial<'a> {
    sandbox: &'a Sandbox,
    tenant: Key,
    calls: AtomicU64,
}

impl Directory {
    /// To try conversions out.
    pub fn trial(&self, tenant: Key) -> Trial<'_> {
        Trial { sandbox: self.sandbox(), tenant, calls: AtomicU64::new(0) }
    }
}

impl Scripts for Trial<'_> {
    async fn run(&self, script: &Arc<str>, payload: String) -> Result<String, String> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            tenant: self.tenant,
            program: Arc::clone(script),
            entry: Entry::Convert,
            input: payload,
            at: Timestamp(number as i64 * 86_400_000),
            seed: number,
        };
        self.sandbox.run(call).await.map(|ran| ran.output).map_err(|failure| failure.to_string())
    }
}
