//! Event types: what can happen, as the sender documents it.

mod contract;
mod conversion;
mod document;
mod import;
mod schemas;
mod version;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    contract::{Terms, version::Validation},
    event_type::{EventType, check_name},
    id::{EventTypeId, Key},
    schema,
    time::Timestamp,
};
use ringback_store::{
    Amendment, Contract, EventTypeChange, EventTypeQuery, NewEventType, Order, Position,
    WriteError, audit,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Caller, Json, Named, Who, found},
    field::Problems,
    idempotency::{Answered, Posted},
    list::List,
    patch,
    query::{FromQuery, Paging, Params, Query},
    reply::{json, nothing, render, rendered},
};
use crate::auth::Identity;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, patch, delete))
        .merge(import::routes())
        .merge(version::routes())
        .merge(conversion::routes())
}

/// An event type to create, or what replaces one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeIn {
    /// Its name, such as `user.created`. A PUT takes it from the path.
    name: Option<String>,
    /// For people.
    #[schema(required, nullable = false)]
    description: Option<String>,
    /// JSON Schemas by version.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
    /// Hidden from lists that do not ask for archived ones.
    archived: Option<bool>,
    /// Still sent, no longer recommended.
    deprecated: Option<bool>,
    /// For people: which group it is listed under.
    group_name: Option<String>,
    /// Shown only to applications with this flag; at most one.
    feature_flags: Option<Vec<String>>,
    /// The old spelling of `featureFlags`.
    #[schema(deprecated)]
    feature_flag: Option<String>,
    /// Whether payloads are held against the schema of their version when they are accepted: `off`
    /// (if not given), `warn` (the message says whether it fits), `reject`. What is absent from a PUT
    /// stays.
    #[schema(value_type = Option<String>)]
    validation: Option<Validation>,
    /// Where in a payload its ordering key stands: a JSON Pointer.
    #[schema(example = "/data/customer_id")]
    ordering_pointer: Option<String>,
    /// Whether a payload that cannot be converted is delivered as it is; false if not given.
    deliver_original: Option<bool>,
}

/// What changes of an event type; what is absent stays, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypePatch {
    /// For people.
    #[serde(default, deserialize_with = "patch::given")]
    description: Option<String>,
    /// JSON Schemas by version.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>)]
    schemas: Option<Option<Value>>,
    /// Hidden from lists that do not ask for archived ones.
    #[serde(default, deserialize_with = "patch::given")]
    archived: Option<bool>,
    /// Still sent, no longer recommended.
    #[serde(default, deserialize_with = "patch::given")]
    deprecated: Option<bool>,
    /// For people: which group it is listed under.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    group_name: Option<Option<String>>,
    /// Shown only to applications with this flag; at most one.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Option<Option<Vec<String>>>,
    /// The old spelling of `featureFlags`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Option<Option<String>>,
    /// Whether payloads are held against the schema of their version: `off`, `warn` or `reject`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = String)]
    validation: Option<Validation>,
    /// Where in a payload its ordering key stands: a JSON Pointer.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    ordering_pointer: Option<Option<String>>,
    /// Whether a payload that cannot be converted is delivered as it is.
    #[serde(default, deserialize_with = "patch::given")]
    deliver_original: Option<bool>,
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeOut {
    /// Its name.
    name: String,
    /// For people.
    description: String,
    /// JSON Schemas by version, if they were asked for.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
    /// Hidden from lists that do not ask for archived ones.
    archived: bool,
    /// Still sent, no longer recommended.
    deprecated: bool,
    /// For people: which group it is listed under.
    group_name: Option<String>,
    /// Shown only to applications with this flag.
    feature_flags: Option<Vec<String>>,
    /// The old spelling of `featureFlags`.
    #[schema(deprecated)]
    feature_flag: Option<String>,
    /// Whether payloads are held against the schema of their version: `off`, `warn` or `reject`.
    #[schema(value_type = String)]
    validation: Validation,
    /// Where in a payload its ordering key stands.
    ordering_pointer: Option<String>,
    /// Whether a payload that cannot be converted is delivered as it is.
    deliver_original: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl EventTypeOut {
    fn new(event_type: EventType, terms: Terms) -> EventTypeOut {
        let Terms { validation, ordering_pointer, deliver_original } = terms;
        EventTypeOut {
            validation,
            ordering_pointer,
            deliver_original,
            name: event_type.name,
            description: event_type.description,
            schemas: event_type.schemas,
            archived: event_type.archived,
            deprecated: event_type.deprecated,
            group_name: event_type.group_name,
            feature_flags: event_type.feature_flag.clone().map(|flag| vec![flag]),
            feature_flag: event_type.feature_flag,
            created_at: event_type.created_at,
            updated_at: event_type.updated_at,
        }
    }
}

/// Which event types to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Archived ones too.
    include_archived: Option<bool>,
    /// With their schemas.
    with_content: Option<bool>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        let include_archived = query.flag("include_archived");
        Filter { include_archived, with_content: query.flag("with_content") }
    }
}

/// How an event type is deleted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Deletion {
    /// For good; otherwise it is archived.
    expunge: Option<bool>,
}

impl FromQuery for Deletion {
    fn read(query: &mut Params) -> Deletion {
        Deletion { expunge: query.flag("expunge") }
    }
}

/// List event types
#[utoipa::path(get, path = "/api/v1/event-type", tag = "Event Type", params(Paging, Filter),
    responses((status = 200, body = List<EventTypeOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Who(identity): Who,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let from = cursor::read(paging.iterator())?;
    let query = EventTypeQuery {
        limit: paging.limit(),
        from: from.clone(),
        order: paging.order(Order::Ascending),
        include_archived: filter.include_archived == Some(true),
        flags: identity.grant.visible_flags().map(<[String]>::to_vec),
    };
    let listed = api.store.event_types(caller.environment, query).await?;
    let name = |item: &EventType| cursor::write(&item.name);
    let (first, last) = (listed.items.first().map(name), listed.items.last().map(name));
    let with_content = filter.with_content == Some(true);
    let contracts = api.store.contracts(caller.environment).await?;
    let show = |item: EventType| {
        let terms = contracts.iter().find(|contract| contract.name == item.name);
        let terms = terms.map(|contract| contract.terms.clone()).unwrap_or_default();
        let shown = EventTypeOut::new(item, terms);
        EventTypeOut { schemas: shown.schemas.filter(|_| with_content), ..shown }
    };
    let data = listed.items.into_iter().map(show).collect();
    let write = |name: &String| cursor::write(name);
    Ok(json(StatusCode::OK, &List::of(&from, first, last, write, data, listed.done)))
}

/// Create an event type, or take it out of the archive
#[utoipa::path(post, path = "/api/v1/event-type", tag = "Event Type",
    request_body = EventTypeIn,
    responses((status = 201, body = EventTypeOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<EventTypeIn>,
) -> Result<Response, Answered> {
    let Caller { environment, now } = caller;
    let terms = body.terms();
    let mut new = body.check(None, api.mint(now, EventTypeId), now)?;
    audit::about("event_type_name", new.name.clone());
    // One that comes out of the archive is as old as it was.
    if let Some(old) = found(api.store.event_type(environment, new.name.clone()).await)? {
        let updated_at = new.updated_at.max(Timestamp(old.updated_at.millis() + 1));
        new = EventType { id: old.id, created_at: old.created_at, updated_at, ..new };
    }
    let contract = followed(&api, caller, &new.name, (terms, Some(&new.schemas))).await?;
    let body = render(&EventTypeOut::new(new.clone(), contract.terms.clone()));
    let answer = once.answer(StatusCode::CREATED, &body);
    let new = NewEventType { environment, event_type: new, contract: Some(contract), answer };
    let created = api.store.create_event_type(new).await;
    api.contracts.forget(environment);
    created.map_err(exists)?;
    Ok(rendered(StatusCode::CREATED, body))
}

/// Get an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}", tag = "Event Type",
    params(("event_type_name" = String, Path, description = "its name")),
    responses((status = 200, body = EventTypeOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Who(identity): Who,
    Named(name): Named<extract::EventType>,
) -> Result<Response, Error> {
    let event_type = api.store.event_type(caller.environment, name).await?;
    let flags = identity.grant.visible_flags();
    let seen = |flag: &String| flags.is_none_or(|flags| flags.contains(flag));
    if !event_type.feature_flag.iter().all(seen) {
        return Err(Error::NotFound("event type"));
    }
    let terms = api.store.contract(caller.environment, event_type.name.clone()).await?.terms;
    Ok(json(StatusCode::OK, &EventTypeOut::new(event_type, terms)))
}

/// Replace an event type, or create it
#[utoipa::path(put, path = "/api/v1/event-type/{event_type_name}", tag = "Event Type",
    params(("event_type_name" = String, Path, description = "its name")),
    request_body = EventTypeIn,
    responses((status = 200, body = EventTypeOut), (status = 201, body = EventTypeOut)))]
async fn upsert(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named<extract::EventType>,
    Json(body): Json<EventTypeIn>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let terms = body.terms();
    let new = body.check(Some(name.clone()), api.mint(now, EventTypeId), now)?;
    let contract = followed(&api, caller, &name, (terms, Some(&new.schemas))).await?;
    let terms = contract.terms.clone();
    let contract = Some(contract);
    let change = EventTypeChange { contract: contract.clone(), ..replacement(&new) };
    let changed = api.store.change_event_type(environment, name, change, now).await;
    let (status, written) = match changed {
        Err(WriteError::NotFound(_)) => {
            let new = NewEventType { environment, event_type: new, contract, answer: None };
            let created = api.store.create_event_type(new).await;
            (StatusCode::CREATED, created.map_err(exists))
        }
        changed => (StatusCode::OK, changed.map_err(Error::from)),
    };
    api.contracts.forget(environment);
    Ok(json(status, &EventTypeOut::new(written?, terms)))
}

/// Change some of an event type
#[utoipa::path(patch, path = "/api/v1/event-type/{event_type_name}", tag = "Event Type",
    params(("event_type_name" = String, Path, description = "its name")),
    request_body = EventTypePatch,
    responses((status = 200, body = EventTypeOut)))]
async fn patch(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named<extract::EventType>,
    Json(body): Json<EventTypePatch>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let terms = body.terms();
    let change = body.change()?;
    let contract = followed(&api, caller, &name, (terms, change.schemas.as_ref())).await?;
    let terms = contract.terms.clone();
    let change = EventTypeChange { contract: Some(contract), ..change };
    let changed = api.store.change_event_type(environment, name, change, now).await;
    api.contracts.forget(environment);
    Ok(json(StatusCode::OK, &EventTypeOut::new(changed?, terms)))
}

/// Archive an event type, or delete it for good
#[utoipa::path(delete, path = "/api/v1/event-type/{event_type_name}", tag = "Event Type",
    params(("event_type_name" = String, Path, description = "its name"), Deletion),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(name): Named<extract::EventType>,
    Query(deletion): Query<Deletion>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let expunge = deletion.expunge == Some(true);
    api.store.delete_event_type(environment, name, expunge, now).await?;
    api.contracts.forget(environment);
    Ok(nothing())
}

/// What a body says about all versions of a type; what is absent stays.
#[derive(Clone, Default)]
struct Wished {
    validation: Option<Validation>,
    ordering_pointer: Option<Option<String>>,
    deliver_original: Option<bool>,
}

impl Wished {
    fn over(self, terms: Terms) -> Terms {
        Terms {
            validation: self.validation.unwrap_or(terms.validation),
            ordering_pointer: self.ordering_pointer.unwrap_or(terms.ordering_pointer),
            deliver_original: self.deliver_original.unwrap_or(terms.deliver_original),
        }
    }
}

/// What follows for the contract of a type, which may not be there yet, from its map of schemas and
/// from what was wished for all its versions.
async fn followed(
    api: &Api,
    Caller { environment, now }: Caller,
    name: &str,
    (wished, schemas): (Wished, Option<&Option<Value>>),
) -> Result<Amendment, Error> {
    let known = found(api.store.contract(environment, name.to_owned()).await)?;
    let contract = known.unwrap_or_else(|| Contract {
        event_type: 0,
        name: name.to_owned(),
        terms: Terms::default(),
        updated_at: now,
        versions: Vec::new(),
        conversions: Vec::new(),
    });
    let versions = match schemas {
        Some(map) => schemas::plan(api, (environment, now), &contract, map.as_ref()).await?,
        None => Vec::new(),
    };
    let terms = wished.over(contract.terms);
    Ok(Amendment { expected: contract.updated_at, terms, versions })
}

/// Refuses who must not know of an event type.
async fn seen(api: &Api, identity: &Identity, environment: Key, name: &str) -> Result<(), Error> {
    let event_type = api.store.event_type(environment, name.to_owned()).await?;
    let flags = identity.grant.visible_flags();
    let seen = |flag: &String| flags.is_none_or(|flags| flags.contains(flag));
    if event_type.feature_flag.iter().all(seen) {
        Ok(())
    } else {
        Err(Error::NotFound("event type"))
    }
}

/// Notes what is wrong with a schema, at its place below `within`.
fn note_mistake(problems: &mut Problems, within: &[&str], mistake: &schema::Mistake) {
    let mut path: Vec<String> = within.iter().map(|part| (*part).to_owned()).collect();
    if let schema::Mistake::Invalid { place, .. } = mistake {
        path.extend(place.split('/').skip(1).map(|it| it.replace("~1", "/").replace("~0", "~")));
    }
    problems.add_at(&path, mistake);
}

/// Notes a pointer that is none.
fn check_pointer(problems: &mut Problems, pointer: Option<&String>) {
    let ok = |text: &str| {
        text.starts_with('/') && text.len() <= 256 && !text.chars().any(char::is_control)
    };
    if pointer.is_some_and(|text| !ok(text)) {
        problems.add("orderingPointer", "it is a JSON Pointer of at most 256 bytes: `/data/id`");
    }
}

/// A conflict of a creation has a code of its own, which SDK users look for.
fn exists(error: WriteError) -> Error {
    let detail = error.to_string();
    match error {
        WriteError::Conflict(_) => Error::Conflict { code: "event_type_exists", detail },
        other => other.into(),
    }
}

impl EventTypeIn {
    fn terms(&self) -> Wished {
        Wished {
            validation: self.validation,
            ordering_pointer: self.ordering_pointer.clone().map(Some),
            deliver_original: self.deliver_original,
        }
    }

    /// The event type that this describes, under the name that the body or the `path` gives it.
    fn check(
        self,
        path: Option<String>,
        id: EventTypeId,
        now: Timestamp,
    ) -> Result<EventType, Error> {
        let mut problems = Problems::of_body();
        let name = path.or(self.name);
        if let Some(name) = problems.required("name", name.as_ref()) {
            problems.check("name", check_name(name));
        }
        problems.required("description", self.description.as_ref());
        problems.description("description", self.description.as_ref());
        problems.name("groupName", self.group_name.as_ref());
        schemas::check(&mut problems, self.schemas.as_ref());
        check_pointer(&mut problems, self.ordering_pointer.as_ref());
        let feature_flag = one_flag(&mut problems, self.feature_flags, self.feature_flag);
        problems.done()?;
        Ok(EventType {
            id,
            name: name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            schemas: self.schemas,
            archived: self.archived.unwrap_or(false),
            deprecated: self.deprecated.unwrap_or(false),
            feature_flag,
            group_name: self.group_name,
            created_at: now,
            updated_at: now,
        })
    }
}

/// Everything that a PUT replaces.
fn replacement(new: &EventType) -> EventTypeChange {
    EventTypeChange {
        description: Some(new.description.clone()),
        schemas: Some(new.schemas.clone()),
        archived: Some(new.archived),
        deprecated: Some(new.deprecated),
        feature_flag: Some(new.feature_flag.clone()),
        group_name: Some(new.group_name.clone()),
        contract: None,
    }
}

impl EventTypePatch {
    fn terms(&self) -> Wished {
        Wished {
            validation: self.validation,
            ordering_pointer: self.ordering_pointer.clone(),
            deliver_original: self.deliver_original,
        }
    }

    fn change(self) -> Result<EventTypeChange, Error> {
        let mut problems = Problems::of_body();
        problems.description("description", self.description.as_ref());
        problems.name("groupName", self.group_name.as_ref().and_then(Option::as_ref));
        schemas::check(&mut problems, self.schemas.as_ref().and_then(Option::as_ref));
        check_pointer(&mut problems, self.ordering_pointer.as_ref().and_then(Option::as_ref));
        let flag_given = self.feature_flags.is_some() || self.feature_flag.is_some();
        let flags = self.feature_flags.flatten();
        let flag = one_flag(&mut problems, flags, self.feature_flag.flatten());
        problems.done()?;
        Ok(EventTypeChange {
            description: self.description,
            schemas: self.schemas,
            archived: self.archived,
            deprecated: self.deprecated,
            feature_flag: flag_given.then_some(flag),
            group_name: self.group_name,
            contract: None,
        })
    }
}

/// The one flag that both spellings can hold.
fn one_flag(
    problems: &mut Problems,
    flags: Option<Vec<String>>,
    flag: Option<String>,
) -> Option<String> {
    let flags = flags.unwrap_or_default();
    if flags.len() > 1 {
        problems.add("featureFlags", "more than one flag is not supported yet");
    }
    let flag = flags.into_iter().next().or(flag);
    problems.name("featureFlags", flag.as_ref());
    flag
}

/// A list of event types is ordered by name, so names are its cursors.
mod cursor {
    use super::{Error, Position, check_name};

    /// Stands before a name that begins with the `-` of a previous page. No name contains it.
    const ESCAPE: char = '~';

    pub(super) fn write(name: &str) -> String {
        if name.starts_with('-') { format!("{ESCAPE}{name}") } else { name.to_owned() }
    }

    pub(super) fn read(iterator: Option<&str>) -> Result<Position<String>, Error> {
        let name = |text: &str| {
            let name = text.strip_prefix(ESCAPE).unwrap_or(text);
            let checked = check_name(name);
            checked.map_err(|what| Error::invalid("query", "iterator", what))?;
            Ok::<_, Error>(name.to_owned())
        };
        match iterator {
            None => Ok(Position::Start),
            Some(text) => match text.strip_prefix('-') {
                Some(text) => Ok(Position::Before(name(text)?)),
                None => Ok(Position::After(name(text)?)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_whatever_a_name_begins_with() {
        for name in ["user.created", "-dash", "--", "a/b"] {
            let text = cursor::write(name);
            assert_eq!(cursor::read(Some(&text)), Ok(Position::After(name.to_owned())));
            let before = Ok(Position::Before(name.to_owned()));
            assert_eq!(cursor::read(Some(&format!("-{text}"))), before);
        }
        assert!(cursor::read(Some("not a name")).is_err());
    }

    #[test]
    fn what_is_read() {
        let id = EventTypeId(ringback_domain::id::Id { key: 1, shard: 0, nonce: 0 });
        let read = |body: &str| {
            extract::parse::<EventTypeIn>(body.as_bytes(), 64)?.check(None, id, Timestamp(0))
        };
        let old = read(
            r#"{"name":"a.b","description":"","archived":false,"deprecated":false,"featureFlag":"f"}"#,
        );
        assert_eq!(old.unwrap().feature_flag.as_deref(), Some("f"));
        for (wrong, loc) in [
            (r#"{"description":"d"}"#, "name"),
            (r#"{"name":"a b","description":"d"}"#, "name"),
            (r#"{"name":"a.b"}"#, "description"),
            (r#"{"name":"a.b","description":"d","schemas":[1]}"#, "schemas"),
            (r#"{"name":"a.b","description":"d","featureFlags":["a","b"]}"#, "featureFlags"),
            (r#"{"name":"a.b","description":"d","archived":"no"}"#, "archived"),
        ] {
            let Err(Error::Invalid(problems)) = read(wrong) else { panic!("{wrong}") };
            assert_eq!(problems[0].loc.last().map(String::as_str), Some(loc), "{wrong}");
        }
    }

    #[test]
    fn a_patch_clears_what_is_null() {
        let patch = |body: &str| {
            extract::parse::<EventTypePatch>(body.as_bytes(), 64).unwrap().change().unwrap()
        };
        let change = patch(r#"{"schemas":null,"featureFlags":null,"groupName":null}"#);
        assert_eq!((change.schemas, change.feature_flag), (Some(None), Some(None)));
        assert_eq!((change.group_name, change.archived), (Some(None), None));
        assert_eq!(patch("{}").feature_flag, None);
    }
}
