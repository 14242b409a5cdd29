//! Imports of event types.

use super::{Sqlite, answer, event_type, fault::Stop, rows, writer::Transaction};
use crate::{BoxFuture, Import, Imports, NewEventType, Others, WriteError, import::replaced};

impl Imports for Sqlite {
    fn import_event_types(&self, import: Import) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| run(transaction, import))
    }
}

fn run(transaction: &mut Transaction<'_>, import: Import) -> Result<(), Stop<WriteError>> {
    let Import { environment, event_types, others, now, answer } = import;
    let connection = transaction.connection;
    let environments = include_str!("queries/environment_exists.sql");
    if !rows::exists(connection, environments, [environment])? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    if others == Others::Archive {
        let names = serde_json::Value::from_iter(event_types.iter().map(|one| one.name.as_str()));
        connection
            .prepare_cached(include_str!("queries/event_types_archive_others.sql"))?
            .execute((environment, names.to_string(), now.millis()))?;
    }
    for new in event_types {
        match event_type::by_name(connection, environment, &new.name)? {
            Some(known) => {
                if let Some(changed) = replaced(&known, &new) {
                    event_type::update(connection, &changed)?;
                }
            }
            None => {
                let new =
                    NewEventType { environment, event_type: new, contract: None, answer: None };
                event_type::insert(connection, &new)?;
            }
        }
    }
    answer::keep(transaction, now, answer.as_ref())
}
