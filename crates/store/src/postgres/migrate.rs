//! The schema, version by version. Each step is small enough to run beside a process that still
//! knows only the version before: what is there is added to first, and taken away a version later.

use tokio_postgres::Client;

use super::{connect::OpenError, transaction::int8};

/// The steps, the first one first. A step that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_schema.sql"),
    include_str!("migrations/0002_append.sql"),
    include_str!("migrations/0003_record.sql"),
    include_str!("migrations/0004_sources.sql"),
    include_str!("migrations/0005_append_arrivals.sql"),
    include_str!("migrations/0006_filters.sql"),
    include_str!("migrations/0007_sign_as.sql"),
    include_str!("migrations/0008_callbacks.sql"),
    include_str!("migrations/0009_oauth.sql"),
    include_str!("migrations/0010_listeners.sql"),
    include_str!("migrations/0011_contracts.sql"),
    include_str!("migrations/0012_consumers.sql"),
];

/// Brings the schema up to date. Of several processes that start at the same time one does it and
/// the others wait.
pub(super) async fn migrate(client: &Client) -> Result<(), OpenError> {
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '30s'").await?;
    match steps(client).await {
        Ok(()) => Ok(client.batch_execute("COMMIT").await?),
        Err(error) => {
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn steps(client: &Client) -> Result<(), OpenError> {
    // Two processes that create it at the same moment meet in the catalog's unique index; whoever
    // loses starts anew.
    client.batch_execute(include_str!("queries/schema_version.sql")).await?;
    client.batch_execute("LOCK TABLE schema_version IN EXCLUSIVE MODE").await?;
    let row = client.query_typed_one("SELECT max(version) FROM schema_version", &[]).await?;
    let found: i64 = row.get::<_, Option<i64>>(0).unwrap_or(0);
    let known = STEPS.len() as i64;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, step) in (1..).zip(STEPS).skip(found as usize) {
        client.batch_execute(step).await?;
        let sql = "INSERT INTO schema_version (version) VALUES ($1)";
        client.execute_typed(sql, &[int8(&(version as i64))]).await?;
    }
    Ok(())
}
