//! Tasks: noting them, and putting down how far they have come.

use ringback_domain::{
    endpoint::State,
    id::{Key, TaskId},
    scope::Scope,
    task::{Kind, Span, Status, Task},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, answer, endpoint,
    fault::{self, Stop},
    rows,
    transaction::{Transaction, int8, text},
};
use crate::{
    BoxFuture, Listed, NewTask, Place, RUNNING_TASKS, ReadError, TaskError, TaskQuery, Tasks,
    Unavailable, pages::Cut,
};

/// The most tasks that are forgotten in one transaction.
const BOUND: i64 = 250;

impl Tasks for Postgres {
    fn create_task(&self, new: NewTask) -> BoxFuture<'_, Result<Task, TaskError>> {
        self.change(move |transaction| Box::pin(async move { create(transaction, &new).await }))
    }

    fn task(&self, environment: Key, task: TaskId) -> BoxFuture<'_, Result<Task, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                // The nonce is what makes a guessed id fail.
                let found = by_key(transaction, task.key())
                    .await?
                    .filter(|found| found.id == task && found.environment == environment);
                found.ok_or(Stop::Refused(ReadError::NotFound("task")))
            })
        })
    }

    fn tasks(
        &self,
        environment: Key,
        query: TaskQuery,
    ) -> BoxFuture<'_, Result<Listed<Task>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, environment, &query).await?) })
        })
    }

    fn running_tasks(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let limit = limit as i64;
                let sql = include_str!("queries/tasks_running.sql");
                let found = transaction.rows(sql, &[int8(&after), int8(&limit)]).await?;
                Ok(found.iter().map(from_row).collect())
            })
        })
    }

    fn advance_task(&self, cursor: Key, task: Task) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(put(transaction, cursor, &task).await?) })
        })
    }

    fn forget_tasks(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let before = before.millis();
                let sql = include_str!("queries/tasks_forget.sql");
                let gone = transaction.execute(sql, &[int8(&before), int8(&BOUND)]).await?;
                Ok(gone as i64 == BOUND)
            })
        })
    }
}

async fn create(transaction: &Transaction<'_>, new: &NewTask) -> Result<Task, Stop<TaskError>> {
    let (application, endpoint) = place(transaction, new.environment, &new.place).await?;
    let sql = include_str!("queries/tasks_count.sql");
    let running = transaction.row(sql, &[int8(&new.environment)]).await?;
    if running.map_or(0, |row| row.get::<_, i64>(0)) >= RUNNING_TASKS as i64 {
        return Err(Stop::Refused(TaskError::Limit));
    }
    // Whatever comes after it has a greater key.
    let newest = transaction.next_key(new.now);
    let task = new.begin(application, endpoint, newest);
    insert(transaction, &task).await.map_err(|error| match fault::is_duplicate(&error) {
        true => Stop::Refused(TaskError::Conflict),
        false => Stop::Database(error),
    })?;
    answer::keep(transaction, new.now, new.answer.as_ref()).await?;
    Ok(task)
}

/// The keys of what the task is about.
async fn place(
    transaction: &Transaction<'_>,
    environment: Key,
    place: &Place,
) -> Result<(Option<Key>, Option<Key>), Stop<TaskError>> {
    let application = match place {
        Place::Environment => return Ok((None, None)),
        Place::Application(application) | Place::Endpoint(application, _) => *application,
    };
    let known = include_str!("queries/application_in_scope.sql");
    if !transaction.holds(known, &[int8(&application), int8(&environment)]).await? {
        return Err(Stop::Refused(TaskError::NotFound("application")));
    }
    let Place::Endpoint(_, reference) = place else { return Ok((Some(application), None)) };
    let scope = Scope { environment, application };
    let endpoint = endpoint::key(transaction, scope, reference)
        .await?
        .ok_or(Stop::Refused(TaskError::NotFound("endpoint")))?;
    let state = endpoint_state(transaction, endpoint).await?;
    if !state.takes_messages() {
        return Err(Stop::Refused(TaskError::State(state)));
    }
    Ok((Some(application), Some(endpoint)))
}

/// The state of an endpoint, also of a deleted one.
pub(super) async fn endpoint_state(
    transaction: &Transaction<'_>,
    endpoint: Key,
) -> Result<State, Error> {
    let sql = "SELECT state FROM endpoint WHERE key = $1";
    let row = transaction.row(sql, &[int8(&endpoint)]).await?;
    Ok(row.map_or(State::Deleted, |row| rows::state(&row, 0)))
}

async fn insert(transaction: &Transaction<'_>, task: &Task) -> Result<(), Error> {
    let (key, nonce) = (task.id.key(), task.id.0.nonce as i64);
    let (kind, status) = (task.kind.number(), task.status.number());
    let (request, data) = (rows::json(&task.request), rows::json(&task.data));
    let (created_at, updated_at) = (task.created_at.millis(), task.updated_at.millis());
    let parameters = [
        int8(&key),
        int8(&nonce),
        int8(&task.environment),
        int8(&task.application),
        int8(&task.endpoint),
        int8(&kind),
        int8(&status),
        text(&request),
        text(&data),
        int8(&task.span.first),
        int8(&task.span.cursor),
        int8(&task.span.end),
        int8(&created_at),
        int8(&updated_at),
    ];
    transaction.execute(include_str!("queries/task_insert.sql"), &parameters).await?;
    Ok(())
}

/// Puts a task down as it is now; false if it is not running at `cursor`.
pub(super) async fn put(
    transaction: &Transaction<'_>,
    cursor: Key,
    task: &Task,
) -> Result<bool, Error> {
    let (key, status, data) = (task.id.key(), task.status.number(), rows::json(&task.data));
    let updated_at = task.updated_at.millis();
    let parameters = [
        int8(&key),
        int8(&cursor),
        int8(&status),
        text(&data),
        int8(&task.span.cursor),
        int8(&updated_at),
    ];
    let sql = include_str!("queries/task_update.sql");
    Ok(transaction.execute(sql, &parameters).await? == 1)
}

/// Whether a task is running and at its cursor. Until the end of the transaction nobody moves it.
pub(super) async fn is_at(transaction: &Transaction<'_>, task: &Task) -> Result<bool, Error> {
    let (key, epoch) = (task.id.key(), transaction.epoch());
    let sql = include_str!("queries/task_lock.sql");
    let parameters = [int8(&key), int8(&task.span.cursor), int8(&epoch)];
    Ok(transaction.row(sql, &parameters).await?.is_some())
}

async fn by_key(transaction: &Transaction<'_>, key: Key) -> Result<Option<Task>, Error> {
    let row = transaction.row(include_str!("queries/task.sql"), &[int8(&key)]).await?;
    Ok(row.as_ref().map(from_row))
}

async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    query: &TaskQuery,
) -> Result<Listed<Task>, Error> {
    let Cut { walk, low, high } = Cut::new(&query.page);
    let sql = walk.sql(include_str!("queries/tasks.sql"));
    let status = query.status.map(Status::number);
    let (kind, limit) = (query.kind.map(Kind::number), walk.rows());
    let parameters =
        [int8(&environment), int8(&low), int8(&high), int8(&status), int8(&kind), int8(&limit)];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

fn from_row(row: &Row) -> Task {
    Task {
        id: TaskId(rows::id(row, 0, 1)),
        environment: row.get(2),
        application: row.get(3),
        endpoint: row.get(4),
        // Only this store writes them.
        kind: Kind::from_number(row.get::<_, i16>(5).into()).unwrap_or(Kind::Replay),
        status: Status::from_number(row.get::<_, i16>(6).into()).unwrap_or(Status::Failed),
        request: rows::parsed(row, 7),
        data: rows::parsed(row, 8),
        span: Span { first: row.get(9), cursor: row.get(10), end: row.get(11) },
        created_at: Timestamp(row.get(12)),
        updated_at: Timestamp(row.get(13)),
    }
}
