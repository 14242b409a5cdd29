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

use ringback_domain::{delivery::Rendering, retry::KeptBack};
use ringback_store::{Content, Due};

use super::{
    convert::{Unconverted, convert},
    prepare::Prepared,
    services::Services,
};

/// What is sent for a delivery.
pub(super) struct Rendered {
    pub(super) content: Arc<Content>,
    /// What it was made into; none if it is sent as it is.
    pub(super) rendering: Option<Rendering>,
}

/// Why nothing is sent for a delivery.
pub(super) struct Kept {
    pub(super) back: KeptBack,
    /// For people; may be empty.
    pub(super) why: String,
}

impl From<KeptBack> for Kept {
    fn from(back: KeptBack) -> Kept {
        Kept { back, why: String::new() }
    }
}

impl From<Unconverted> for Kept {
    fn from(unconverted: Unconverted) -> Kept {
        match unconverted {
            Unconverted::Kept(back, why) => Kept { back, why },
            Unconverted::Later(why) => Kept { back: KeptBack::Unconverted, why },
        }
    }
}

/// Makes what is sent for a delivery.
///
/// # Errors
/// [`Kept`]: nothing is to be sent, or it cannot be made.
pub(super) async fn render(
    services: &Services,
    prepared: &Prepared,
    due: &Due,
) -> Result<Rendered, Kept> {
    // Boxed: most messages have no version, and every attempt would carry its state around.
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
    Ok(Rendered { content, rendering })
}
