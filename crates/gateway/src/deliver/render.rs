//! What a message becomes for one endpoint: in the version that it is pinned to, if its filter wants
//! that, transformed.
//!
//! ```text
//!  message ─► convert ─► filter ─► transform ─► (sign ─► send: attempt.rs)
//! ```
//!
//! What an earlier attempt of the delivery sent is sent again, byte by byte, whatever was changed
//! since. The message itself is never changed: another endpoint gets it as it is for that one.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use ringback_domain::{attempt::Phase, delivery::Rendering, retry::KeptBack, target::Rules};
use ringback_store::{Content, Due};

use super::{
    convert::{Unconverted, convert},
    fixed::Fixed,
    prepare::Prepared,
    route::{Http, Route},
    services::Services,
};
use crate::transform::{Call, Entry, Failure, Made, Transformation, Webhook};

/// What is sent for a delivery.
pub(super) struct Rendered {
    pub(super) content: Arc<Content>,
    /// What it was made into; none if it is sent as it is.
    pub(super) made: Option<Fixed>,
    /// The way there, where that is not the endpoint's.
    pub(super) way: Option<Arc<Http>>,
}

/// Why nothing is sent for a delivery.
pub(super) struct Kept {
    pub(super) back: KeptBack,
    /// For people; may be empty.
    pub(super) why: String,
}

/// Why there is nothing to send.
pub(super) enum Unrendered {
    /// Nothing is to be sent, or it cannot be made.
    Kept(Kept),
    /// It could not be made now, in this step, as the text explains; later it may.
    Later(Phase, String),
}

impl From<KeptBack> for Kept {
    fn from(back: KeptBack) -> Kept {
        Kept { back, why: String::new() }
    }
}

impl From<Kept> for Unrendered {
    fn from(kept: Kept) -> Unrendered {
        Unrendered::Kept(kept)
    }
}

impl From<KeptBack> for Unrendered {
    fn from(back: KeptBack) -> Unrendered {
        Unrendered::Kept(back.into())
    }
}

impl From<Unconverted> for Unrendered {
    fn from(unconverted: Unconverted) -> Unrendered {
        match unconverted {
            Unconverted::Kept(back, why) => Unrendered::Kept(Kept { back, why }),
            Unconverted::Later(why) => Unrendered::Later(Phase::Convert, why),
        }
    }
}

/// Makes what is sent for a delivery.
///
/// # Errors
/// [`Unrendered`]: nothing is to be sent, or it cannot be made.
pub(super) async fn render(
    services: &Services,
    prepared: &Prepared,
    due: &Due,
) -> Result<Rendered, Unrendered> {
    let rules = Rules { require_https: services.require_https };
    if let Some(kept) = &due.fixed {
        let (fixed, content) = Fixed::read(kept, &due.content).ok_or_else(|| {
            untransformed("what an earlier attempt sent cannot be read".to_owned())
        })?;
        // A program's output is not what the filter is about.
        if fixed.rendering.transformation.is_none()
            && let Some(back) = prepared.keeps_back(&content)
        {
            return Err(back.into());
        }
        return changed(prepared, fixed, content, rules);
    }
    // Boxed, as what follows: it is rare, and every attempt would carry its state around.
    let converted = match due.content.version {
        Some(_) => Box::pin(convert(services, prepared, &due.content)).await?,
        None => None,
    };
    let (content, rendering) = match converted {
        Some((content, rendering)) => (content, Some(rendering)),
        None => (Arc::clone(&due.content), None),
    };
    if let Some(back) = prepared.keeps_back(&content) {
        return Err(back.into());
    }
    let Some(transformation) = &prepared.transformation else {
        let made = rendering.map(|rendering| Fixed::converted(rendering, &content, &due.content));
        return Ok(Rendered { content, made, way: None });
    };
    let made = Box::pin(transform(services, prepared, transformation, &content)).await?;
    let rendering = Rendering {
        transformation: Some(transformation.revision.to_string()),
        body_sha256: sha256(&made.body),
        ..rendering.unwrap_or_default()
    };
    let fixed = Fixed::transformed(rendering, &made, &content, &due.content);
    let content = fixed.content(&due.content, made.body);
    changed(prepared, fixed, content, rules)
}

/// Calls the endpoint's program.
async fn transform(
    services: &Services,
    prepared: &Prepared,
    transformation: &Transformation,
    content: &Content,
) -> Result<Made, Unrendered> {
    let Some(program) = transformation.in_use() else {
        return Err(untransformed("there is no program".to_owned()).into());
    };
    let webhook = Webhook {
        url: &prepared.url,
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
    let ran = services.sandbox.run(call).await?;
    let made = webhook.read(&ran.output)?;
    if made.cancel {
        return Err(KeptBack::Canceled.into());
    }
    Ok(made)
}

/// What was made, with the way that it takes.
fn changed(
    prepared: &Prepared,
    made: Fixed,
    content: Arc<Content>,
    rules: Rules,
) -> Result<Rendered, Unrendered> {
    let way = match &prepared.route {
        Ok(Route::Http(http)) if made.changes_the_way() => {
            let way = http.changed(&made, rules);
            Some(Arc::new(way.map_err(|what| untransformed(format!("handler returned {what}")))?))
        }
        _ => None,
    };
    Ok(Rendered { content, made: Some(made), way })
}

impl From<Failure> for Unrendered {
    fn from(failure: Failure) -> Unrendered {
        if failure.is_passing() {
            return Unrendered::Later(Phase::Transform, failure.to_string());
        }
        Unrendered::Kept(untransformed(failure.to_string()))
    }
}

fn untransformed(why: String) -> Kept {
    Kept { back: KeptBack::Untransformed, why }
}

fn sha256(body: &[u8]) -> String {
    HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body).as_ref())
}
