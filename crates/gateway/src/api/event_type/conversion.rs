//! Conversions: what makes a payload of one version into the one below. A revision is never changed.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    contract::{
        conversion::{Conversion, Converted, Loss},
        gate,
        version::Version,
    },
    id::Key,
    time::Timestamp,
};
use ringback_store::{Contract, ConversionRow, audit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{contract, seen, version::newest};
use crate::{
    api::{
        Api,
        error::{Error, Problem},
        extract::{self, Caller, Named, Who},
        field::Problems,
        idempotency::{Answered, Posted},
        reply::{json as answer, render, rendered},
    },
    contract::revision,
    transform::Entry,
};

/// How many revisions an event type may have.
const MOST: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(dry_run))
}

/// A conversion to add.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConversionIn {
    /// The label of the version that it leads from; it leads to the one below.
    #[schema(required, nullable = false, example = "2")]
    from: Option<String>,
    /// What is lost: `none`, `lossy`, or `suppress` if it has no meaning in the version below.
    loss: Option<String>,
    /// For people.
    description: Option<String>,
    /// Operations (`move`, `copy`, `remove`, `set`, `rename`, `map_enum`, `wrap`, `unwrap`, `to_string`,
    /// `to_number`), or `{"javascript": "function convert(payload) { … }"}`.
    #[schema(value_type = Option<Vec<Object>>)]
    steps: Option<Value>,
}

/// A revision of a conversion.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConversionOut {
    /// What attempts call it.
    #[schema(example = "conv_0c3f5a1b2c000001")]
    revision: String,
    /// The label of the version that it leads from.
    from: String,
    /// The label of the version that it leads to.
    to: String,
    /// Whether it is the one that is used.
    in_force: bool,
    /// What is lost.
    #[schema(value_type = String)]
    loss: Loss,
    /// For people.
    description: String,
    /// What is done.
    #[schema(value_type = Vec<Object>)]
    steps: Value,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// All revisions of an event type.
#[derive(Serialize, ToSchema)]
struct ConversionsOut {
    /// By the version that they lead from, then by age.
    data: Vec<ConversionOut>,
}

/// A payload to convert.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrialIn {
    /// The label of the version that it has.
    #[schema(required, nullable = false, example = "2")]
    from: Option<String>,
    /// The label of the version that it is to become.
    #[schema(required, nullable = false, example = "1")]
    to: Option<String>,
    /// The payload.
    #[schema(required, value_type = Value)]
    payload: Option<Box<RawValue>>,
    /// What to use from `from` to the version below, in place of what is in force: `loss`,
    /// `description`, `steps`.
    #[schema(value_type = Option<Object>)]
    conversion: Option<Value>,
}

/// What a payload becomes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TrialOut {
    /// The payload; null if it is suppressed, or failed.
    #[schema(required, value_type = Value)]
    payload: Option<Box<RawValue>>,
    /// Whether nothing would be sent.
    suppressed: bool,
    /// Why it failed.
    error: Option<String>,
    /// The revisions that were used.
    conversions: Vec<String>,
}

fn shown(contract: &Contract, row: &ConversionRow) -> ConversionOut {
    let label = |ordinal: u32| {
        let found = contract.versions.iter().find(|it| it.version.ordinal == ordinal);
        found.map_or_else(|| ordinal.to_string(), |it| it.version.label.clone())
    };
    let conversion = Conversion::read(&row.program);
    let (loss, description) = conversion.map(|it| (it.loss, it.description)).unwrap_or_default();
    ConversionOut {
        revision: revision(row.key).to_string(),
        from: label(row.ordinal),
        to: label(row.ordinal - 1),
        in_force: newest(&contract.conversions, row),
        loss,
        description,
        steps: row.program.get("steps").cloned().unwrap_or_else(|| json!([])),
        created_at: row.created_at,
    }
}

/// List the conversions of an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}/conversion",
    tag = "Event Type Conversion",
    params(("event_type_name" = String, Path, description = "its name")),
    responses((status = 200, body = ConversionsOut)))]
async fn list(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Who(identity): Who,
    Named(name): Named<extract::EventType>,
) -> Result<Response, Error> {
    seen(&api, &identity, environment, &name).await?;
    let contract = api.store.contract(environment, name).await?;
    let data = contract.conversions.iter().map(|row| shown(&contract, row)).collect();
    Ok(answer(StatusCode::OK, &ConversionsOut { data }))
}

/// Add a conversion from a version to the one below
///
/// It is used from now on; what was tried before is sent again as it was. If the version is sent
/// already, every example of it has to be converted by it.
#[utoipa::path(post, path = "/api/v1/event-type/{event_type_name}/conversion",
    tag = "Event Type Conversion",
    params(("event_type_name" = String, Path, description = "its name")),
    request_body = ConversionIn,
    responses((status = 201, body = ConversionOut)))]
async fn create(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(name): Named<extract::EventType>,
    Posted { body, once }: Posted<ConversionIn>,
) -> Result<Response, Answered> {
    let contract = api.store.contract(environment, name).await.map_err(Error::from)?;
    let from = from(&contract, body.from.as_ref())?.clone();
    let mut program = json!({});
    for (name, value) in [
        ("loss", body.loss.map(Value::from)),
        ("description", body.description.map(Value::from)),
        ("steps", body.steps),
    ] {
        if let Some(value) = value {
            program[name] = value;
        }
    }
    let conversion = read((&api, environment), &program, &["body"]).await?;
    if contract.conversions.len() >= MOST {
        let detail = format!("an event type has at most {MOST} revisions of conversions");
        return Err(Error::Refused { code: "limit_reached", detail }.into());
    }
    if from.status.is_sent() {
        let report = contract::judged(&api, environment, &contract, &from, Some(conversion)).await;
        if !report.passes() {
            return Err(contract::refused(report).into());
        }
    }
    let key = api.mint(now, |id| id).key;
    // The greatest key is in force, even if two are made in one millisecond.
    let last = contract.conversions.iter().map(|row| row.key).max().unwrap_or(0);
    let key = key.max(last + 1);
    audit::about("conversion", revision(key).to_string());
    let row = ConversionRow { key, ordinal: from.ordinal, program, created_at: now };
    let mut change = contract::change(environment, &contract, now);
    change.conversions.push(row.clone());
    let body = render(&ConversionOut { in_force: true, ..shown(&contract, &row) });
    change.answer = once.answer(StatusCode::CREATED, &body);
    contract::write(&api, change).await?;
    Ok(rendered(StatusCode::CREATED, body))
}

/// Convert a payload, without sending anything
#[utoipa::path(post, path = "/api/v1/event-type/{event_type_name}/conversion/dry-run",
    tag = "Event Type Conversion",
    params(("event_type_name" = String, Path, description = "its name")),
    request_body = TrialIn,
    responses((status = 200, body = TrialOut)))]
async fn dry_run(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(name): Named<extract::EventType>,
    Posted { body, .. }: Posted<TrialIn>,
) -> Result<Response, Answered> {
    let contract = api.store.contract(environment, name).await.map_err(Error::from)?;
    let mut problems = Problems::of_body();
    let payload = problems.required("payload", body.payload);
    let mut known = |field: &str, label: Option<&String>| -> Option<Version> {
        let label = problems.required(field, label)?;
        let found = contract.versions.iter().find(|row| row.version.label == *label);
        if found.is_none() {
            problems.add(field, "there is no such version");
        }
        found.map(|row| row.version.clone())
    };
    let (from, to) = (known("from", body.from.as_ref()), known("to", body.to.as_ref()));
    if let (Some(from), Some(to)) = (&from, &to)
        && from.ordinal < to.ordinal
    {
        problems.add("to", "it is not above `from`: payloads become older versions only");
    }
    problems.done()?;
    let (Some(payload), Some(from), Some(to)) = (payload, from, to) else {
        return Err(Error::Internal.into());
    };
    let mut conversions = contract::in_force(&contract);
    if let Some(program) = &body.conversion {
        let conversion = read((&api, environment), program, &["body", "conversion"]).await?;
        conversions.insert(from.ordinal, ("new".into(), conversion.into()));
    }
    let versions: Vec<Version> = contract.versions.iter().map(|it| it.version.clone()).collect();
    let schema = to.compile().ok().map(Into::into);
    let chain = gate::chain(&versions, &conversions, (from.ordinal, to.ordinal), schema);
    let trial = api.contracts.trial(environment);
    let converted = chain.convert(payload.get().as_bytes(), &trial).await;
    let mut out =
        TrialOut { payload: None, suppressed: false, error: None, conversions: chain.revisions() };
    match converted {
        Ok(Converted::Same) => out.payload = Some(payload),
        Ok(Converted::Changed(text)) => out.payload = RawValue::from_string(text).ok(),
        Ok(Converted::Suppressed) => out.suppressed = true,
        Err(failure) => out.error = Some(failure.to_string()),
    }
    Ok(answer(StatusCode::OK, &out))
}

/// The version that a conversion leads from: not the oldest.
fn from<'a>(contract: &'a Contract, label: Option<&String>) -> Result<&'a Version, Error> {
    let mut problems = Problems::of_body();
    let label = problems.required("from", label);
    let found = label.and_then(|label| {
        contract.versions.iter().map(|row| &row.version).find(|version| version.label == *label)
    });
    match found {
        None if label.is_some() => problems.add("from", "there is no such version"),
        Some(version) if version.ordinal == 1 => {
            problems.add("from", "there is no version below it");
        }
        _ => {}
    }
    problems.done()?;
    found.ok_or(Error::Internal)
}

/// Reads a conversion, and looks at its JavaScript.
async fn read(
    (api, tenant): (&Api, Key),
    program: &Value,
    within: &[&str],
) -> Result<Conversion, Error> {
    let conversion = Conversion::read(program).map_err(|mistake| {
        let loc: Vec<&str> = within.iter().copied().chain(mistake.place()).collect();
        Error::Invalid(vec![Problem::at(&loc, &mistake)])
    })?;
    for script in conversion.scripts() {
        if let Err(failure) = api.contracts.sandbox().check(tenant, script, Entry::Convert).await {
            if failure.is_passing() {
                let detail = "no program can be looked at now";
                return Err(Error::Unavailable { code: "busy", detail, retry_after: "5" });
            }
            let loc: Vec<&str> = within.iter().copied().chain(["steps"]).collect();
            return Err(Error::Invalid(vec![Problem::at(&loc, failure)]));
        }
    }
    Ok(conversion)
}
