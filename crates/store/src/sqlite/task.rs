//! Tasks: noting them, and putting down how far they have come.

use ringback_domain::{
    endpoint::State,
    id::{Key, TaskId},
    scope::Scope,
    task::{Kind, Span, Status, Task},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, answer, endpoint, fault::Stop, rows, writer::Transaction};
use crate::{
    BoxFuture, Listed, NewTask, Place, RUNNING_TASKS, ReadError, TaskError, TaskQuery, Tasks,
    Unavailable, pages::Cut,
};

/// The most tasks that are forgotten in one transaction.
const BOUND: i64 = 250;

impl Tasks for Sqlite {
    fn create_task(&self, new: NewTask) -> BoxFuture<'_, Result<Task, TaskError>> {
        self.change(move |transaction| create(transaction, new))
    }

    fn task(&self, environment: Key, task: TaskId) -> BoxFuture<'_, Result<Task, ReadError>> {
        self.read(move |connection| {
            // The nonce is what makes a guessed id fail.
            let found = by_key(connection, task.key())?
                .filter(|found| found.id == task && found.environment == environment);
            found.ok_or(Stop::Refused(ReadError::NotFound("task")))
        })
    }

    fn tasks(
        &self,
        environment: Key,
        query: TaskQuery,
    ) -> BoxFuture<'_, Result<Listed<Task>, ReadError>> {
        self.read(move |connection| Ok(list(connection, environment, &query)?))
    }

    fn running_tasks(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>, Unavailable>> {
        self.read(move |connection| {
            let sql = include_str!("queries/tasks_running.sql");
            let mut select = connection.prepare_cached(sql)?;
            let found = select.query_map((after, limit as i64), from_row)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn advance_task(&self, cursor: Key, task: Task) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.write(move |transaction| Ok(put(transaction.connection, cursor, &task)?))
    }

    fn forget_tasks(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.write(move |transaction| {
            let sql = include_str!("queries/tasks_forget.sql");
            let mut delete = transaction.connection.prepare_cached(sql)?;
            Ok(delete.execute((before.millis(), BOUND))? as i64 == BOUND)
        })
    }
}

fn create(transaction: &mut Transaction<'_>, new: NewTask) -> Result<Task, Stop<TaskError>> {
    let connection = transaction.connection;
    let (application, endpoint) = place(connection, new.environment, &new.place)?;
    let running = include_str!("queries/tasks_count.sql");
    let running: i64 =
        connection.prepare_cached(running)?.query_row([new.environment], |row| row.get(0))?;
    if running >= RUNNING_TASKS as i64 {
        return Err(Stop::Refused(TaskError::Limit));
    }
    if by_key(connection, new.id.key())?.is_some() {
        return Err(Stop::Refused(TaskError::Conflict));
    }
    // Whatever comes after it has a greater key.
    let newest = transaction.memory.keys.next(new.now, 0);
    let task = new.begin(application, endpoint, newest);
    insert(connection, &task)?;
    answer::keep(transaction, new.now, new.answer.as_ref())?;
    Ok(task)
}

/// The keys of what the task is about.
fn place(
    connection: &Connection,
    environment: Key,
    place: &Place,
) -> Result<(Option<Key>, Option<Key>), Stop<TaskError>> {
    let application = match place {
        Place::Environment => return Ok((None, None)),
        Place::Application(application) | Place::Endpoint(application, _) => *application,
    };
    let known = include_str!("queries/application_in_scope.sql");
    if !rows::exists(connection, known, [application, environment])? {
        return Err(Stop::Refused(TaskError::NotFound("application")));
    }
    let Place::Endpoint(_, reference) = place else { return Ok((Some(application), None)) };
    let scope = Scope { environment, application };
    let endpoint = endpoint::key(connection, scope, reference)?
        .ok_or(Stop::Refused(TaskError::NotFound("endpoint")))?;
    let state = endpoint_state(connection, endpoint)?;
    if !state.takes_messages() {
        return Err(Stop::Refused(TaskError::State(state)));
    }
    Ok((Some(application), Some(endpoint)))
}

/// The state of an endpoint, also of a deleted one.
pub(super) fn endpoint_state(connection: &Connection, endpoint: Key) -> rusqlite::Result<State> {
    let mut select = connection.prepare_cached(include_str!("queries/endpoint_state.sql"))?;
    select.query_row([endpoint], |row| rows::state(row, 0))
}

fn insert(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/task_insert.sql"))?;
    insert.execute((
        task.id.key(),
        task.id.0.nonce as i64,
        task.environment,
        task.application,
        task.endpoint,
        task.kind.number(),
        task.status.number(),
        rows::json(&task.request)?,
        rows::json(&task.data)?,
        task.span.first,
        task.span.cursor,
        task.span.end,
        task.created_at.millis(),
        task.updated_at.millis(),
    ))?;
    Ok(())
}

/// Puts a task down as it is now; false if it is not running at `cursor`.
pub(super) fn put(connection: &Connection, cursor: Key, task: &Task) -> rusqlite::Result<bool> {
    let mut update = connection.prepare_cached(include_str!("queries/task_update.sql"))?;
    let changed = update.execute((
        task.id.key(),
        cursor,
        task.status.number(),
        rows::json(&task.data)?,
        task.span.cursor,
        task.updated_at.millis(),
    ))?;
    Ok(changed == 1)
}

/// Whether a task is running and at `cursor`.
pub(super) fn is_at(connection: &Connection, task: &Task) -> rusqlite::Result<bool> {
    let stored = by_key(connection, task.id.key())?;
    Ok(stored.is_some_and(|stored| {
        stored.status == Status::Running && stored.span.cursor == task.span.cursor
    }))
}

fn by_key(connection: &Connection, key: Key) -> rusqlite::Result<Option<Task>> {
    let mut select = connection.prepare_cached(include_str!("queries/task.sql"))?;
    select.query_row([key], from_row).optional()
}

fn list(
    connection: &Connection,
    environment: Key,
    query: &TaskQuery,
) -> rusqlite::Result<Listed<Task>> {
    let Cut { walk, low, high } = Cut::new(&query.page);
    let mut select = connection.prepare_cached(&walk.sql(include_str!("queries/tasks.sql")))?;
    let status = query.status.map(Status::number);
    let kind = query.kind.map(Kind::number);
    let found = select.query_map((environment, low, high, status, kind, walk.rows()), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Task> {
    let unknown = |column: usize| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    Ok(Task {
        id: TaskId(rows::id(row, 0, 1)?),
        environment: row.get(2)?,
        application: row.get(3)?,
        endpoint: row.get(4)?,
        kind: Kind::from_number(row.get(5)?).ok_or_else(|| unknown(5))?,
        status: Status::from_number(row.get(6)?).ok_or_else(|| unknown(6))?,
        request: rows::parsed(row, 7)?,
        data: rows::parsed(row, 8)?,
        span: Span { first: row.get(9)?, cursor: row.get(10)?, end: row.get(11)? },
        created_at: Timestamp(row.get(12)?),
        updated_at: Timestamp(row.get(13)?),
    })
}
