//! What a message becomes for whoever reads an endpoint.

use std::{collections::BTreeMap, sync::Arc};

use ringback_domain::{
    delivery::Delivery,
    endpoint::Endpoint,
    id::MessageId,
    retry::KeptBack,
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{Arrived, Content, ReadError, Unavailable};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    deliver::{Kept, Made, Recipe, Tools, Unmade},
    listen::hub::Parts,
};

/// A message, as whoever reads an endpoint gets it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PollingEndpointMessageOut)]
pub struct Given {
    /// The message.
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: MessageId,
    /// What happened.
    event_type: String,
    /// The sender's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// The JSON object; `{}` if it is something else.
    #[schema(value_type = Object)]
    #[serde(serialize_with = "object")]
    payload: Option<Box<RawValue>>,
    /// What there is instead of a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_payload: Option<String>,
    /// The type of `rawPayload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The version of its event type that the payload has here, by its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<String>,
    /// Why there is no payload: the message could not become what the endpoint gets. Mend the
    /// conversion, filter or transformation, and read it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    /// The sender's own labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    /// Headers that are kept with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    headers: BTreeMap<String, String>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// SDKs want an object, whatever was sent.
fn object<S: Serializer>(
    payload: &Option<Box<RawValue>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match payload {
        Some(payload) => payload.serialize(serializer),
        None => serializer.serialize_map(Some(0))?.end(),
    }
}

/// What makes of a message what one endpoint gets.
pub(super) struct Giving<'a> {
    parts: &'a Parts,
    recipe: Result<Recipe, &'static str>,
}

/// What became of a message.
pub(super) enum Giver {
    /// It is given.
    Gives(Box<Given>),
    /// The endpoint does not get it.
    Withholds,
    /// It cannot be made now; later it may.
    Waits,
}

impl<'a> Giving<'a> {
    pub(super) async fn new(
        parts: &'a Parts,
        scope: Scope,
        endpoint: &Endpoint,
    ) -> Result<Giving<'a>, Unavailable> {
        let secrets = match parts.store.endpoint_secrets(scope, Reference::Id(endpoint.id.0)).await
        {
            Ok(secrets) => secrets,
            Err(ReadError::Unavailable(unavailable)) => return Err(unavailable),
            // It was deleted meanwhile, and so nothing of it was sealed.
            Err(ReadError::NotFound(_)) => return Ok(Giving { parts, recipe: Err("deleted") }),
        };
        let delivery = endpoint.delivery.as_deref().map(serde_json::from_str).transpose();
        let delivery: Result<Option<Delivery>, _> = delivery.map_err(|_| "delivery_unreadable");
        let recipe = delivery.and_then(|delivery| {
            let sealed = (scope, &secrets, &*parts.keyring);
            Recipe::read(endpoint, &delivery.unwrap_or_default(), sealed)
        });
        Ok(Giving { parts, recipe })
    }

    /// What is given of a message: the same that would be sent, made in the same way.
    pub(super) async fn give(&self, arrived: &Arrived) -> Giver {
        let recipe = match &self.recipe {
            Ok(recipe) => recipe,
            Err(reason) => return Given::problem(arrived, (*reason).to_owned()),
        };
        let Parts { world, contracts, sandbox, .. } = self.parts;
        let message = Arc::new(Content {
            id: arrived.id,
            scope: arrived.scope,
            event_type: arrived.event_type.as_str().into(),
            event_id: arrived.event_id.clone(),
            content_type: arrived.content_type.clone(),
            payload: arrived.payload.clone(),
            headers: Some(Arc::clone(&arrived.headers)),
            version: arrived.version,
        });
        match recipe.make(Tools { world, contracts, sandbox }, &message, None).await {
            Ok(made) => Giver::Gives(Box::new(Given::made(arrived, made))),
            Err(Unmade::Later(..)) => Giver::Waits,
            Err(Unmade::Kept(Kept { back, why })) => match back {
                KeptBack::NotWanted | KeptBack::Suppressed | KeptBack::Canceled => Giver::Withholds,
                KeptBack::Overrun => {
                    let what =
                        "it would have cost too much to find out whether the filter wants it";
                    Given::problem(arrived, what.to_owned())
                }
                _ => Given::problem(arrived, why),
            },
        }
    }
}

impl Given {
    /// What a message was made into.
    fn made(arrived: &Arrived, made: Made) -> Given {
        let Made { content, rendering, transformed } = made;
        let (payload, content_type) = match &transformed {
            Some(made) => (&made.body, made.content_type.clone()),
            None => (&content.payload, content.content_type.clone()),
        };
        let parsed: Option<Box<RawValue>> = match content_type {
            None => serde_json::from_slice(payload).ok(),
            Some(_) => None,
        };
        let raw = || String::from_utf8_lossy(payload).into_owned();
        let raw_payload = parsed.is_none().then(raw);
        let own = |name: &str| name.starts_with(':') || name.starts_with("ringback-");
        let came_with = content.headers.iter().flat_map(|headers| headers.iter());
        let mut headers: BTreeMap<String, String> =
            came_with.filter(|(name, _)| !own(name)).cloned().collect();
        headers.extend(transformed.map(|made| made.headers).unwrap_or_default());
        Given {
            payload: parsed,
            raw_payload,
            content_type,
            schema_version: rendering.and_then(|rendering| rendering.version),
            headers,
            ..Given::of(arrived)
        }
    }

    /// What takes the place of a message that could not be made into what the endpoint gets: passing
    /// over it would hide that there is one.
    fn problem(arrived: &Arrived, what: String) -> Giver {
        Giver::Gives(Box::new(Given { problem: Some(what), ..Given::of(arrived) }))
    }

    /// A message without what is in it.
    fn of(arrived: &Arrived) -> Given {
        Given {
            id: arrived.id,
            event_type: arrived.event_type.clone(),
            event_id: arrived.event_id.clone(),
            payload: None,
            raw_payload: None,
            content_type: None,
            schema_version: None,
            problem: None,
            channels: arrived.channels.clone(),
            tags: arrived.tags.clone(),
            headers: BTreeMap::new(),
            timestamp: arrived.created_at,
        }
    }
}
