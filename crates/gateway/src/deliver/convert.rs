//! The first step of rendering: a message becomes the version of its event type that the endpoint is
//! pinned to.

use std::{sync::Arc, time::Duration};

use ringback_domain::{delivery::Rendering, retry::KeptBack};
use ringback_store::{Content, Unavailable};

use super::{prepare::Prepared, services::Services};
use crate::contract::{Shaped, Unshaped};

/// How long it waits before it asks the store again.
const RETRY: Duration = Duration::from_millis(200);

/// Why a message is not sent in any version.
pub(super) enum Unconverted {
    /// Nothing is to be sent, as the text explains.
    Kept(KeptBack, String),
    /// It could not be converted now, as the text explains; later it may.
    Later(String),
}

/// Puts a message into the version that an endpoint gets, with what it was made into; none of a
/// message that has no version.
///
/// # Errors
/// [`Unconverted`]: nothing may be sent.
pub(super) async fn convert(
    services: &Services,
    prepared: &Prepared,
    content: &Arc<Content>,
) -> Result<Option<(Arc<Content>, Rendering)>, Unconverted> {
    if content.version.is_none() {
        return Ok(None);
    }
    let contract = loop {
        let now = services.world.clock.now();
        let environment = content.scope.environment;
        match services.contracts.find(environment, &content.event_type, now).await {
            Ok(Some(contract)) => break contract,
            // The event type was deleted for good: nothing is agreed on any more.
            Ok(None) => return Ok(None),
            Err(Unavailable::Closed) => {
                return Err(Unconverted::Later("the store is closed".to_owned()));
            }
            Err(error) => {
                tracing::warn!(%error, "a contract could not be read yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    let pins = prepared.pins.as_ref();
    let shaped = services.contracts.shape(&contract, content, pins, prepared.created_at).await;
    match shaped {
        Ok(shaped) => Ok(shaped.map(|Shaped { content, rendering }| (content, rendering))),
        Err(unshaped) => {
            let why = unshaped.to_string();
            Err(match unshaped {
                Unshaped::Suppressed(_) => Unconverted::Kept(KeptBack::Suppressed, why),
                Unshaped::Unavailable { .. } => Unconverted::Kept(KeptBack::TooOld, why),
                Unshaped::Failed(_) => Unconverted::Kept(KeptBack::Unconverted, why),
                Unshaped::Later(_) => Unconverted::Later(why),
            })
        }
    }
}
