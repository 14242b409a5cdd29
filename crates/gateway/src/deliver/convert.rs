//! The first step of a recipe: a message becomes the version of its event type that the endpoint is
//! pinned to.

use std::{sync::Arc, time::Duration};

use ringback_domain::{attempt::Phase, delivery::Rendering, retry::KeptBack};
use ringback_store::{Content, Unavailable};

use super::recipe::{Kept, Recipe, Tools, Unmade};
use crate::contract::{Shaped, Unshaped};

/// How long it waits before it asks the store again.
const RETRY: Duration = Duration::from_millis(200);

/// Puts a message into the version that an endpoint gets, with what it was made into; none of a
/// message that has no version. If `recorded` is given, it is the version there, by the conversions
/// that are named there.
///
/// # Errors
/// [`Unmade`]: nothing may be sent.
pub(super) async fn convert(
    tools: Tools<'_>,
    recipe: &Recipe,
    content: &Arc<Content>,
    recorded: Option<&Rendering>,
) -> Result<Option<(Arc<Content>, Rendering)>, Unmade> {
    let contracts = tools.contracts;
    let recorded = recorded.filter(|recorded| recorded.version.is_some());
    let contract = loop {
        let (environment, now) = (content.scope.environment, tools.world.clock.now());
        let found = match recorded {
            Some(recorded) => contracts.recorded(content, recorded).await,
            None => contracts.find(environment, &content.event_type, now).await,
        };
        match found {
            Ok(Some(contract)) => break contract,
            // The event type was deleted for good: nothing is agreed on any more.
            Ok(None) => return Ok(None),
            Err(Unavailable::Closed) => {
                return Err(Unmade::Later(Phase::Convert, "the store is closed".to_owned()));
            }
            Err(error) => {
                tracing::warn!(%error, "a contract could not be read yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    let shaped = match recorded {
        Some(recorded) => contracts.shape_as(&contract, content, recorded).await.map(Some),
        None => contracts.shape(&contract, content, recipe.pins.as_ref(), recipe.created_at).await,
    };
    let shaped = shaped.map_err(unmade)?;
    Ok(shaped.map(|Shaped { content, rendering }| (content, rendering)))
}

fn unmade(unshaped: Unshaped) -> Unmade {
    let why = unshaped.to_string();
    let back = match unshaped {
        Unshaped::Suppressed(_) => KeptBack::Suppressed,
        Unshaped::Unavailable { .. } => KeptBack::TooOld,
        Unshaped::Failed(_) => KeptBack::Unconverted,
        Unshaped::Later(_) => return Unmade::Later(Phase::Convert, why),
    };
    Unmade::Kept(Kept { back, why })
}
