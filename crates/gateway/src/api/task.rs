//! Background tasks: what takes longer than a request may, and how far it is.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    id::{Key, Kind, TaskId},
    task::{self, Status, Task},
    time::Timestamp,
};
use ringback_store::{NewTask, Order, Place, TaskQuery, audit};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Caller, Named},
    idempotency::Once,
    list::{List, shown},
    query::{FromQuery, Paging, Params, Query},
    reply::{json, render, rendered},
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// What the SDKs know beside what is done here: nothing of it is ever found.
const OTHER_KINDS: [&str; 2] = ["message.broadcast", "sdk.generate"];

/// A background task.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskOut {
    /// Its id.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: TaskId,
    /// `running`, `finished` or `failed`.
    status: &'static str,
    /// What it does.
    #[schema(example = "endpoint.recover")]
    task: &'static str,
    /// What it has done so far; after a failure, `error` says why.
    data: Map<String, Value>,
    /// How much of it is done, in percent.
    progress: u8,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it did its last step.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Task> for TaskOut {
    fn from(task: Task) -> TaskOut {
        TaskOut {
            id: task.id,
            status: task.status.name(),
            task: task.kind.name(),
            progress: task.percent(),
            data: task.data,
            created_at: task.created_at,
            updated_at: task.updated_at,
        }
    }
}

/// Which tasks to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only with this status: `running`, `finished` or `failed`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// Only of this kind, such as `endpoint.recover`.
    #[param(value_type = Option<String>)]
    task: Option<Wanted>,
}

/// A kind of task that somebody looks for.
#[derive(Clone, Copy)]
enum Wanted {
    Known(task::Kind),
    /// There is none of it.
    Other,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        let status = query.text("status").and_then(|name| {
            let known = Status::ALL.into_iter().find(|status| status.name() == name);
            known.or_else(|| query.wrong("status", "it is running, finished or failed"))
        });
        let task = query.text("task").and_then(|name| {
            let known = task::Kind::ALL.into_iter().find(|kind| kind.name() == name);
            if OTHER_KINDS.contains(&name.as_str()) {
                return Some(Wanted::Other);
            }
            known.map(Wanted::Known).or_else(|| query.wrong("task", "there are no such tasks"))
        });
        Filter { status, task }
    }
}

/// List background tasks
#[utoipa::path(get, path = "/api/v1/background-task", tag = "Background Task",
    params(Paging, Filter),
    responses((status = 200, body = List<TaskOut>)))]
async fn list(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Query(paging): Query<Paging>,
    Query(Filter { status, task }): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Task, Order::Descending)?;
    let kind = match task {
        None => None,
        Some(Wanted::Known(kind)) => Some(kind),
        Some(Wanted::Other) => {
            let none = List::<TaskOut>::new(Kind::Task, &page, Vec::new(), Vec::new(), true);
            return Ok(json(StatusCode::OK, &none));
        }
    };
    let query = TaskQuery { page: page.clone(), status, kind };
    let listed = api.store.tasks(environment, query).await?;
    Ok(json(StatusCode::OK, &shown(Kind::Task, &page, listed, TaskOut::from)))
}

/// Get a background task
#[utoipa::path(get, path = "/api/v1/background-task/{task_id}", tag = "Background Task",
    params(("task_id" = String, Path)),
    responses((status = 200, body = TaskOut)))]
async fn get(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(task): Named<extract::Task>,
) -> Result<Response, Error> {
    let task = api.store.task(environment, task).await?;
    Ok(json(StatusCode::OK, &TaskOut::from(task)))
}

/// A task that a request asks for.
pub(super) struct Asked {
    pub(super) environment: Key,
    pub(super) place: Place,
    pub(super) kind: task::Kind,
    pub(super) request: Value,
    /// The numbers that it will count, from 0.
    pub(super) counts: &'static [&'static str],
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Notes a task, and answers with it; whoever asked need not wait for it.
pub(super) async fn begin(api: &Api, asked: Asked, once: &Once) -> Result<Response, Error> {
    begin_as(api, asked, once, |task| task).await
}

/// The same, with the task in another shape.
pub(super) async fn begin_as<T: Serialize>(
    api: &Api,
    asked: Asked,
    once: &Once,
    shape: impl FnOnce(TaskOut) -> T,
) -> Result<Response, Error> {
    let Asked { environment, place, kind, request, counts, since, until, now } = asked;
    let id = api.mint(now, TaskId);
    audit::about("task_id", id.to_string());
    let data: Map<_, _> = counts.iter().map(|name| ((*name).to_owned(), 0.into())).collect();
    let body = render(&shape(TaskOut {
        id,
        status: Status::Running.name(),
        task: kind.name(),
        data: data.clone(),
        progress: 0,
        created_at: now,
        updated_at: now,
    }));
    let answer = once.answer(StatusCode::ACCEPTED, &body);
    let new = NewTask { id, environment, place, kind, request, data, since, until, now, answer };
    api.store.create_task(new).await?;
    api.bell.ring();
    Ok(rendered(StatusCode::ACCEPTED, body))
}
