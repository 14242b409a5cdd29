//! Versions of an event type: drafted, published through the gate, deprecated, retired.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::StatusCode;
use ringback_domain::{
    application::OPERATIONAL_UID,
    contract::{
        gate::Report,
        version::{
            Dialect, Example, MOST, Status, Version, check_changelog, check_examples, check_label,
        },
    },
    message::Origin,
    scope::Reference,
    time::Timestamp,
};
use ringback_store::{Append, ConversionRow, EndpointChange, NewMessage, VersionRow, audit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    contract::{self, Pinned},
    seen,
};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named, Who},
        field::Problems,
        idempotency::{Answered, Posted},
        patch,
        reply::{json as answer, render, rendered},
    },
    log::{Ears, Log},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, patch))
        .routes(routes!(publish))
        .routes(routes!(retire))
}

/// A version to draft.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionIn {
    /// What it is called; labels have no order, versions have.
    #[schema(required, nullable = false, example = "2")]
    label: Option<String>,
    /// A JSON Schema: 2020-12, unless it says otherwise with `$schema`.
    #[schema(required, nullable = false, value_type = Object)]
    schema: Option<Value>,
    /// What has changed, for people.
    changelog: Option<String>,
    /// Payloads: `name`, `payload`, and in `expected` what it becomes in older versions, by label. One at
    /// least is needed before
    /// it is published.
    #[schema(value_type = Option<Vec<Object>>)]
    examples: Option<Vec<Example>>,
}

/// What changes of a version. Of one that is published only the changelog and the dates can.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionPatch {
    /// A JSON Schema.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Object)]
    schema: Option<Value>,
    /// What has changed, for people.
    #[serde(default, deserialize_with = "patch::given")]
    changelog: Option<String>,
    /// Payloads, with what older versions are expected to make of them.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Vec<Object>)]
    examples: Option<Vec<Example>>,
    /// Since when it is deprecated: told to receivers as `deprecation`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deprecated_at: Option<Option<Timestamp>>,
    /// When it will be sent no more: told to receivers as `sunset`. Nothing ends by itself then.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sunset_at: Option<Option<Timestamp>>,
}

/// A version.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VersionOut {
    /// What it is called.
    label: String,
    /// Its place among the versions of the type, from 1.
    ordinal: u32,
    /// `draft`, `active`, `deprecated` or `retired`.
    #[schema(value_type = String)]
    status: Status,
    /// Whether messages have it that name no version, and new endpoints get it.
    is_default: bool,
    /// How its schema is read where that does not say so: `2020-12` or `draft-07`.
    #[schema(value_type = String)]
    dialect: Dialect,
    /// A JSON Schema.
    #[schema(value_type = Object)]
    schema: Value,
    /// What has changed, for people.
    changelog: String,
    /// Payloads: `name`, `payload`, and in `expected` what it becomes in older versions, by label.
    #[schema(value_type = Vec<Object>)]
    examples: Vec<Example>,
    /// Since when it is deprecated.
    #[schema(value_type = Option<String>, format = DateTime)]
    deprecated_at: Option<Timestamp>,
    /// When it will be sent no more.
    #[schema(value_type = Option<String>, format = DateTime)]
    sunset_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// All versions of an event type.
#[derive(Serialize, ToSchema)]
struct VersionsOut {
    /// In their order.
    data: Vec<VersionOut>,
}

/// How a version is published.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PublishIn {
    /// Only say what would be found.
    dry_run: bool,
    /// Whether messages that name no version have it from now on, and new endpoints get it; true if not
    /// given.
    make_default: Option<bool>,
}

/// What was found, and the version.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PublishOut {
    /// Whether it is sent from now on.
    published: bool,
    /// What speaks against it; only of a dry run.
    problems: Vec<ProblemOut>,
    /// What does not keep it from being published.
    warnings: Vec<String>,
    /// The version.
    version: VersionOut,
}

/// Something that speaks against a version.
#[derive(Serialize, ToSchema)]
struct ProblemOut {
    /// What has it.
    place: Vec<String>,
    /// For people.
    what: String,
}

/// How a version is retired.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct RetireIn {
    /// The version that endpoints get instead that are pinned to it.
    successor: Option<String>,
}

/// What was retired, and who was moved.
#[derive(Serialize, ToSchema)]
struct RetireOut {
    /// The version.
    version: VersionOut,
    /// The endpoints that are pinned to its successor now.
    moved: Vec<String>,
}

fn shown(row: &VersionRow, is_default: bool) -> VersionOut {
    let version = row.version.clone();
    VersionOut {
        label: version.label,
        ordinal: version.ordinal,
        status: version.status,
        is_default,
        dialect: version.dialect,
        schema: version.schema,
        changelog: version.changelog,
        examples: version.examples,
        deprecated_at: version.deprecated_at,
        sunset_at: version.sunset_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn found(
    contract: &ringback_store::Contract,
    label: &str,
    now: Timestamp,
) -> Result<VersionOut, Error> {
    let row = contract::version(contract, label)?;
    Ok(shown(row, contract::is_default(contract, &row.version, now)))
}

/// List the versions of an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}/version",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name")),
    responses((status = 200, body = VersionsOut)))]
async fn list(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Who(identity): Who,
    Named(name): Named<extract::EventType>,
) -> Result<Response, Error> {
    seen(&api, &identity, environment, &name).await?;
    let contract = api.store.contract(environment, name).await?;
    let show = |row: &VersionRow| shown(row, contract::is_default(&contract, &row.version, now));
    let data = contract.versions.iter().map(show).collect();
    Ok(answer(StatusCode::OK, &VersionsOut { data }))
}

/// Draft a version of an event type
///
/// It is the newest. Nobody gets it before it is published.
#[utoipa::path(post, path = "/api/v1/event-type/{event_type_name}/version",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name")),
    request_body = VersionIn,
    responses((status = 201, body = VersionOut)))]
async fn create(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(name): Named<extract::EventType>,
    Posted { body, once }: Posted<VersionIn>,
) -> Result<Response, Answered> {
    let contract = api.store.contract(environment, name).await.map_err(Error::from)?;
    let version = body.check(contract::next_ordinal(&contract.versions))?;
    if contract.versions.iter().any(|row| row.version.label == version.label) {
        let detail = format!("there is a version `{}`", version.label);
        return Err(Error::Conflict { code: "version_exists", detail }.into());
    }
    if contract.versions.len() >= MOST {
        let detail = format!("an event type has at most {MOST} versions");
        return Err(Error::Refused { code: "limit_reached", detail }.into());
    }
    audit::about("version", version.label.clone());
    let key = api.mint(now, |id| id).key;
    let row = VersionRow { key, version, created_at: now, updated_at: now };
    let body = render(&shown(&row, false));
    let mut change = contract::change(environment, &contract, now);
    change.versions.push(row);
    change.answer = once.answer(StatusCode::CREATED, &body);
    contract::write(&api, change).await?;
    Ok(rendered(StatusCode::CREATED, body))
}

/// Get a version of an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}/version/{version_label}",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name"),
        ("version_label" = String, Path, description = "its label")),
    responses((status = 200, body = VersionOut)))]
async fn get(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Who(identity): Who,
    Named(name): Named<extract::EventType>,
    Named(label): Named<extract::Version>,
) -> Result<Response, Error> {
    seen(&api, &identity, environment, &name).await?;
    let contract = api.store.contract(environment, name).await?;
    Ok(answer(StatusCode::OK, &found(&contract, &label, now)?))
}

/// Change a draft, or the dates and the changelog of a version
///
/// A version with `deprecatedAt` is deprecated; null takes that back.
#[utoipa::path(patch, path = "/api/v1/event-type/{event_type_name}/version/{version_label}",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name"),
        ("version_label" = String, Path, description = "its label")),
    request_body = VersionPatch,
    responses((status = 200, body = VersionOut)))]
async fn patch(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(name): Named<extract::EventType>,
    Named(label): Named<extract::Version>,
    Json(body): Json<VersionPatch>,
) -> Result<Response, Error> {
    let contract = api.store.contract(environment, name).await?;
    let mut row = contract::version(&contract, &label)?.clone();
    body.apply(&mut row.version)?;
    row.updated_at = now;
    let mut change = contract::change(environment, &contract, now);
    change.versions.push(row);
    let contract = contract::write(&api, change).await?;
    Ok(answer(StatusCode::OK, &found(&contract, &label, now)?))
}

/// Publish a draft, or only try it out
///
/// Every example of every version is converted down every way. A 422 says what speaks against it.
#[utoipa::path(post,
    path = "/api/v1/event-type/{event_type_name}/version/{version_label}/publish",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name"),
        ("version_label" = String, Path, description = "its label")),
    request_body = PublishIn,
    responses((status = 200, body = PublishOut)))]
async fn publish(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(name): Named<extract::EventType>,
    Named(label): Named<extract::Version>,
    Posted { body, once }: Posted<PublishIn>,
) -> Result<Response, Answered> {
    let contract = api.store.contract(environment, name.clone()).await.map_err(Error::from)?;
    let mut row = contract::version(&contract, &label)?.clone();
    if row.version.status != Status::Draft {
        let detail = format!("version `{label}` is no draft");
        return Err(Error::Conflict { code: "version_published", detail }.into());
    }
    let Report { problems, warnings } =
        contract::judged(&api, environment, &contract, &row.version, None).await;
    if body.dry_run {
        let show = |problem: ringback_domain::contract::gate::Problem| ProblemOut {
            place: problem.place,
            what: problem.what,
        };
        let problems = problems.into_iter().map(show).collect();
        let version = shown(&row, false);
        let out = PublishOut { published: false, problems, warnings, version };
        return Ok(answer(StatusCode::OK, &out));
    }
    if !problems.is_empty() {
        return Err(contract::refused(Report { problems, warnings }).into());
    }
    let newer = |other: &VersionRow| {
        other.version.default_since.is_some() && other.version.ordinal > row.version.ordinal
    };
    // A default only ever moves to newer versions.
    let is_newest = !contract.versions.iter().any(newer);
    if body.make_default == Some(true) && !is_newest {
        let what = "the default only moves to newer versions, and a newer one is it already";
        return Err(Error::invalid("body", "makeDefault", what).into());
    }
    row.version.status = Status::Active;
    row.updated_at = now;
    let is_default = is_newest && body.make_default != Some(false);
    if is_default {
        row.version.default_since = Some(now);
    }
    let event_type = api.store.event_type(environment, name).await.map_err(Error::from)?;
    let mut schemas = event_type.schemas.unwrap_or_else(|| json!({}));
    if let Value::Object(schemas) = &mut schemas {
        schemas.insert(label, row.version.schema.clone());
    }
    let out = PublishOut {
        published: true,
        problems: Vec::new(),
        warnings,
        version: shown(&row, is_default),
    };
    let body = render(&out);
    let mut change = contract::change(environment, &contract, now);
    change.schemas = Some(Some(schemas));
    change.versions.push(row);
    change.answer = once.answer(StatusCode::OK, &body);
    contract::write(&api, change).await?;
    Ok(rendered(StatusCode::OK, body))
}

/// Send a version no more
///
/// While endpoints are pinned to it, it takes a successor, to which they are moved.
#[utoipa::path(post,
    path = "/api/v1/event-type/{event_type_name}/version/{version_label}/retire",
    tag = "Event Type Version",
    params(("event_type_name" = String, Path, description = "its name"),
        ("version_label" = String, Path, description = "its label")),
    request_body = RetireIn,
    responses((status = 200, body = RetireOut)))]
async fn retire(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(name): Named<extract::EventType>,
    Named(label): Named<extract::Version>,
    Posted { body, once }: Posted<RetireIn>,
) -> Result<Response, Answered> {
    let contract = api.store.contract(environment, name).await.map_err(Error::from)?;
    let mut row = contract::version(&contract, &label)?.clone();
    if !row.version.status.is_sent() {
        let detail = format!("version `{label}` is not sent");
        return Err(Error::Conflict { code: "version_not_sent", detail }.into());
    }
    let mut change = contract::change(environment, &contract, now);
    let was_default = contract::is_default(&contract, &row.version, now);
    let successor = body.successor.map(|successor| {
        let found = contract.versions.iter().find(|it| it.version.label == successor);
        let found = found.filter(|it| it.version.status.is_sent() && it.key != row.key);
        found.cloned().ok_or_else(|| {
            Error::invalid("body", "successor", "it is no other version that is sent")
        })
    });
    let successor = successor.transpose()?;
    if was_default {
        let newer = successor.clone().filter(|it| it.version.ordinal > row.version.ordinal);
        let Some(mut newer) = newer else {
            let detail = "it is the default: name a newer version as its successor".to_owned();
            return Err(Error::Conflict { code: "version_default", detail }.into());
        };
        newer.version.default_since = Some(now);
        newer.updated_at = now;
        change.versions.push(newer);
    }
    let pinned = contract::pinned(&api, environment, &contract, row.version.ordinal).await?;
    let moved = match &successor {
        None if pinned.is_empty() => Vec::new(),
        None => return Err(contract::still_pinned(&label, &pinned).into()),
        Some(successor) => {
            let to = &successor.version.label;
            for one in &pinned {
                move_pin(&api, one, &contract.name, (&label, to), now).await?;
            }
            pinned.iter().map(|one| one.endpoint.id.to_string()).collect()
        }
    };
    row.version.status = Status::Retired;
    row.updated_at = now;
    let body = render(&RetireOut { version: shown(&row, false), moved });
    change.versions.push(row);
    change.answer = once.answer(StatusCode::OK, &body);
    contract::write(&api, change).await?;
    Ok(rendered(StatusCode::OK, body))
}

/// Pins an endpoint to another version, and tells whoever wants to know.
async fn move_pin(
    api: &Api,
    pinned: &Pinned,
    event_type: &str,
    (from, to): (&str, &str),
    now: Timestamp,
) -> Result<(), Error> {
    let Pinned { scope, endpoint, delivery } = pinned;
    let mut delivery = delivery.clone();
    let pins = delivery.versions.get_or_insert_default();
    pins.types.insert(event_type.to_owned(), to.to_owned());
    let text = serde_json::to_string(&delivery).map_err(|_| Error::Internal)?;
    let change = EndpointChange { delivery: Some(Some(text)), ..EndpointChange::default() };
    let reference = Reference::Id(endpoint.id.0);
    api.store.change_endpoint(*scope, reference, change, now).await?;
    api.lanes.changed(endpoint.id.key()).await;
    let application = api.store.application(
        scope.environment,
        Reference::Id(ringback_domain::id::Id { key: scope.application, shard: 0, nonce: 0 }),
    );
    let application = application.await.ok().map(|application| application.id);
    let told = json!({ "type": MOVED, "data": {
        "appId": application, "endpointId": endpoint.id, "endpointUid": endpoint.uid,
        "eventType": event_type, "from": from, "to": to,
    } });
    let message = NewMessage {
        nonce: u64::from_ne_bytes(api.world.entropy.bytes()),
        accepted_at: now,
        expires_at: now + api.rules.retention,
        origin: Origin::Operational,
        event_type: MOVED.to_owned(),
        payload: Bytes::from(told.to_string()),
        ..NewMessage::default()
    };
    let application = Reference::Uid(OPERATIONAL_UID.to_owned());
    let append = Append { environment: scope.environment, application, message, claim: None };
    let log = Log::new(api.store.clone(), api.lanes.clone(), Ears::default());
    // Where nobody listens to operational messages there is no such application.
    drop(log.append(vec![append]).await);
    Ok(())
}

/// What is told of an endpoint whose version was retired.
const MOVED: &str = "endpoint.version_moved";

impl VersionIn {
    fn check(self, ordinal: u32) -> Result<Version, Error> {
        let mut problems = Problems::of_body();
        let label = problems.required("label", self.label).unwrap_or_default();
        problems.check("label", check_label(&label));
        let schema = problems.required("schema", self.schema).unwrap_or_default();
        let examples = self.examples.unwrap_or_default();
        let changelog = self.changelog.unwrap_or_default();
        let version = Version {
            label,
            ordinal,
            status: Status::Draft,
            dialect: Dialect::Draft2020,
            schema,
            changelog,
            examples,
            deprecated_at: None,
            sunset_at: None,
            default_since: None,
        };
        check(&mut problems, &version);
        problems.done()?;
        Ok(version)
    }
}

/// Notes what is wrong with a version.
fn check(problems: &mut Problems, version: &Version) {
    if let Err(mistake) = version.compile() {
        super::note_mistake(problems, &["schema"], &mistake);
    }
    problems.check("changelog", check_changelog(&version.changelog));
    problems.check("examples", check_examples(&version.examples));
    if version.changelog.contains('\0') {
        problems.add("changelog", "it may not contain NUL");
    }
    for (index, example) in version.examples.iter().enumerate() {
        let index = index.to_string();
        if example.name.is_empty() || example.name.chars().count() > 128 {
            problems.add_below("examples", Some(&index), "its name has 1 to 128 characters");
        }
    }
}

impl VersionPatch {
    fn apply(self, version: &mut Version) -> Result<(), Error> {
        let mut problems = Problems::of_body();
        if version.status != Status::Draft {
            let what = "a version that is published keeps it: draft another";
            for (field, given) in
                [("schema", self.schema.is_some()), ("examples", self.examples.is_some())]
            {
                if given {
                    problems.add(field, what);
                }
            }
        } else if self.deprecated_at.is_some() || self.sunset_at.is_some() {
            problems.add("deprecatedAt", "a draft has no dates");
        }
        problems.done()?;
        let mut problems = Problems::of_body();
        if let Some(schema) = self.schema {
            version.schema = schema;
        }
        if let Some(changelog) = self.changelog {
            version.changelog = changelog;
        }
        if let Some(examples) = self.examples {
            version.examples = examples;
        }
        if let Some(at) = self.deprecated_at {
            version.deprecated_at = at;
            version.status = match (version.status, at) {
                (Status::Active, Some(_)) => Status::Deprecated,
                (Status::Deprecated, None) => Status::Active,
                (status, _) => status,
            };
        }
        if let Some(at) = self.sunset_at {
            version.sunset_at = at;
        }
        if version.sunset_at.is_some() && version.sunset_at < version.deprecated_at {
            problems.add("sunsetAt", "it is not before deprecatedAt");
        }
        check(&mut problems, version);
        problems.done()
    }
}

/// Whether a revision is the one in force.
pub(super) fn newest(conversions: &[ConversionRow], row: &ConversionRow) -> bool {
    !conversions.iter().any(|it| it.ordinal == row.ordinal && it.key > row.key)
}
