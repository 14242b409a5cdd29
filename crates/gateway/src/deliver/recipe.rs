//! What is made of messages for one endpoint, whether they are sent to it or read there.
//!
//! ```text
//!  message ─► convert ─► filter ─► transform ─► (made)
//! ```
//!
//! The message itself is never changed: another endpoint gets it as it is for that one.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use ringback_domain::{
    attempt::Phase,
    delivery::{Delivery, Pins, Rendering},
    endpoint::Endpoint,
    filter::{Event, Expression, Outcome},
    retry::KeptBack,
    scope::Scope,
    seal::Keyring,
    source::TARGET_HEADER,
    time::Timestamp,
};
use ringback_store::{Content, EndpointSecrets};

use super::{convert, sealed::Sealed};
use crate::{
    contract::Directory,
    seam::World,
    transform::{self, Call, Entry, Failure, Sandbox, Transformation, Webhook},
};

/// What an endpoint wants its messages made into.
#[derive(Clone)]
pub struct Recipe {
    filter: Option<Arc<Expression>>,
    /// Which versions of payloads it gets.
    pub(super) pins: Option<Pins>,
    /// When it was made: of types that are not pinned it gets what was their default then.
    pub(super) created_at: Timestamp,
    transformation: Option<Arc<Transformation>>,
    /// What programs and people know its place as, without credentials.
    url: Arc<str>,
}

/// What a recipe is made with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// The time.
    pub world: &'a World,
    /// What payloads of event types become in older versions.
    pub contracts: &'a Directory,
    /// Where programs run.
    pub sandbox: &'a Sandbox,
}

/// What a message became.
pub struct Made {
    /// The message in the version that the endpoint gets.
    pub content: Arc<Content>,
    /// What it was made into; none if it is as it was.
    pub rendering: Option<Rendering>,
    /// What the endpoint's program made of that.
    pub transformed: Option<transform::Made>,
}

/// Why a message becomes nothing.
#[derive(Debug)]
pub enum Unmade {
    /// Nothing is to be made of it, or it cannot be.
    Kept(Kept),
    /// It could not be made now, in this step, as the text explains; later it may.
    Later(Phase, String),
}

/// Why nothing is made of a message.
#[derive(Debug)]
pub struct Kept {
    /// In a word.
    pub back: KeptBack,
    /// For people; may be empty.
    pub why: String,
}

impl Recipe {
    /// Reads what is stored of an endpoint; `delivery` is what that has read of it.
    ///
    /// # Errors
    /// A word that stays the same, if some of it cannot be read. To send what the filter may not want,
    /// or as it is what should be transformed, would be worse than to send nothing.
    pub fn read(
        endpoint: &Endpoint,
        delivery: &Delivery,
        (scope, secrets, keyring): (Scope, &EndpointSecrets, &Keyring),
    ) -> Result<Recipe, &'static str> {
        let filter = endpoint.filter.as_deref().map(Expression::parse).transpose();
        let transformation = Sealed { scope, secrets, keyring }.transformation()?;
        Ok(Recipe {
            filter: filter.map_err(|_| "filter_unreadable")?.map(Arc::new),
            pins: delivery.versions.clone(),
            created_at: endpoint.created_at,
            transformation,
            url: endpoint.url.as_str().into(),
        })
    }

    /// That of an endpoint to which nothing is sent.
    pub(super) fn none() -> Recipe {
        Recipe {
            filter: None,
            pins: None,
            created_at: Timestamp(0),
            transformation: None,
            url: "".into(),
        }
    }

    /// Whether the endpoint's filter keeps a message from being sent. Asked before each attempt, so
    /// that the filter as it is now decides.
    pub(super) fn keeps_back(&self, content: &Content) -> Option<KeptBack> {
        let headers = content.headers.as_deref().unwrap_or_default();
        let target = headers.iter().find(|(name, _)| name == TARGET_HEADER);
        let event = Event {
            headers,
            content_type: content.content_type.as_deref(),
            body: &content.payload,
            target: target.map(|(_, target)| target.as_str()),
        };
        match self.filter.as_ref()?.judge(&event) {
            Outcome::Match => None,
            Outcome::NoMatch => Some(KeptBack::NotWanted),
            Outcome::Overrun => Some(KeptBack::Overrun),
        }
    }

    /// Makes a message into what the endpoint gets; in the version of `recorded`, by the conversions
    /// named there, if that is given.
    ///
    /// # Errors
    /// [`Unmade`]: nothing is to be made of it, or it cannot be.
    pub async fn make(
        &self,
        tools: Tools<'_>,
        message: &Arc<Content>,
        recorded: Option<&Rendering>,
    ) -> Result<Made, Unmade> {
        // Boxed, as what follows: it is rare, and every attempt would carry its state around.
        let converted = match message.version {
            Some(_) => Box::pin(convert::convert(tools, self, message, recorded)).await?,
            None => None,
        };
        let (content, rendering) = match converted {
            Some((content, rendering)) => (content, Some(rendering)),
            None => (Arc::clone(message), None),
        };
        if let Some(back) = self.keeps_back(&content) {
            return Err(back.into());
        }
        let Some(transformation) = &self.transformation else {
            return Ok(Made { content, rendering, transformed: None });
        };
        let made = Box::pin(self.transform(tools.sandbox, transformation, &content)).await?;
        let rendering = Rendering {
            transformation: Some(transformation.revision.to_string()),
            body_sha256: sha256(&made.body),
            ..rendering.unwrap_or_default()
        };
        Ok(Made { content, rendering: Some(rendering), transformed: Some(made) })
    }

    /// Calls the endpoint's program.
    async fn transform(
        &self,
        sandbox: &Sandbox,
        transformation: &Transformation,
        content: &Content,
    ) -> Result<transform::Made, Unmade> {
        let Some(program) = transformation.in_use() else {
            return Err(Kept::untransformed("there is no program".to_owned()).into());
        };
        let webhook = Webhook {
            url: &self.url,
            event_type: &content.event_type,
            content_type: content.content_type.as_deref(),
            payload: &content.payload,
            variables: &transformation.variables,
        };
        let call = Call {
            tenant: content.scope.environment,
            program: Arc::clone(program),
            entry: Entry::Handler,
            input: webhook.input()?,
            at: content.id.0.created_at(),
            seed: content.id.0.nonce ^ content.id.key().cast_unsigned(),
        };
        let ran = sandbox.run(call).await?;
        let made = webhook.read(&ran.output)?;
        if made.cancel {
            return Err(KeptBack::Canceled.into());
        }
        Ok(made)
    }
}

impl Kept {
    pub(super) fn untransformed(why: String) -> Kept {
        Kept { back: KeptBack::Untransformed, why }
    }
}

impl From<Kept> for Unmade {
    fn from(kept: Kept) -> Unmade {
        Unmade::Kept(kept)
    }
}

impl From<KeptBack> for Unmade {
    fn from(back: KeptBack) -> Unmade {
        Unmade::Kept(Kept { back, why: String::new() })
    }
}

impl From<Failure> for Unmade {
    fn from(failure: Failure) -> Unmade {
        if failure.is_passing() {
            return Unmade::Later(Phase::Transform, failure.to_string());
        }
        Unmade::Kept(Kept::untransformed(failure.to_string()))
    }
}

fn sha256(body: &[u8]) -> String {
    HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body).as_ref())
}
