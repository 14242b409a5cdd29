//! What is sent for a delivery: what the endpoint's recipe makes of the message, or what was made of
//! it before.
//!
//! What an earlier attempt of the delivery sent is sent again, byte by byte, whatever was changed
//! since. Only the filter is asked each time, except about what a transformation made: that is not
//! what the filter is about.

use std::sync::Arc;

use ringback_domain::target::Rules;
use ringback_store::{Content, Due};

use super::{
    fixed::{Earlier, Fixed, Sent},
    prepare::Prepared,
    recipe::{Kept, Made, Unmade},
    route::{Http, Route},
    services::Services,
};

/// What is sent for a delivery.
pub(super) struct Rendered {
    pub(super) content: Arc<Content>,
    /// What it was made into; none if it is sent as it is.
    pub(super) made: Option<Fixed>,
    /// The way there, where that is not the endpoint's.
    pub(super) way: Option<Arc<Http>>,
}

/// Makes what is sent for a delivery.
///
/// # Errors
/// [`Unmade`]: nothing is to be sent, or it cannot be made.
pub(super) async fn render(
    services: &Services,
    prepared: &Prepared,
    due: &Due,
) -> Result<Rendered, Unmade> {
    let rules = Rules { require_https: services.require_https };
    let recipe = &prepared.recipe;
    let earlier = match &due.fixed {
        Some(kept) => Earlier::read(kept, &due.content).ok_or_else(|| {
            Kept::untransformed("what an earlier attempt sent cannot be read".to_owned())
        })?,
        None => Earlier::Nothing,
    };
    let recorded = match earlier {
        Earlier::Nothing => None,
        Earlier::Named(rendering) => Some(rendering),
        Earlier::Message => {
            return match recipe.keeps_back(&due.content) {
                Some(back) => Err(back.into()),
                None => Ok(Rendered::plain(&due.content)),
            };
        }
        Earlier::Made(fixed, content) => {
            if fixed.rendering.transformation.is_none()
                && let Some(back) = recipe.keeps_back(&content)
            {
                return Err(back.into());
            }
            return changed(prepared, *fixed, content, rules);
        }
    };
    let made = recipe.make(services.tools(), &due.content, recorded.as_ref()).await?;
    match made {
        Made { rendering: None, .. } => Ok(Rendered::plain(&due.content)),
        Made { content, rendering: Some(rendering), transformed: None } => {
            let made = Some(Fixed::converted(rendering, &content, &due.content));
            Ok(Rendered { content, made, way: None })
        }
        Made { content, rendering: Some(rendering), transformed: Some(transformed) } => {
            let fixed = Fixed::transformed(rendering, &transformed, &content, &due.content);
            let content = fixed.content(&due.content, transformed.body);
            changed(prepared, fixed, content, rules)
        }
    }
}

impl Rendered {
    /// It as what was sent.
    pub(super) fn sent(self) -> Sent {
        match self.made {
            Some(fixed) => Sent::Made(Box::new(fixed), self.content),
            None => Sent::Message,
        }
    }

    fn plain(content: &Arc<Content>) -> Rendered {
        Rendered { content: Arc::clone(content), made: None, way: None }
    }
}

/// What was made, with the way that it takes.
fn changed(
    prepared: &Prepared,
    made: Fixed,
    content: Arc<Content>,
    rules: Rules,
) -> Result<Rendered, Unmade> {
    let way = match &prepared.route {
        Ok(Route::Http(http)) if made.changes_the_way() => {
            let way = http.changed(&made, rules);
            let refused = |what| Kept::untransformed(format!("handler returned {what}"));
            Some(Arc::new(way.map_err(refused)?))
        }
        _ => None,
    };
    Ok(Rendered { content, made: Some(made), way })
}
