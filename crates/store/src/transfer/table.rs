//! The tables of the target, and where the source has what belongs into them.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;

/// A table of the target.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

/// A column of the target.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    /// A number that is 0 or 1 in the source.
    Truth,
    Text,
    /// Text in the source, whose spaces and order of names do not matter.
    Json,
    Bytes,
    /// The shard: of the application that the source gives, or of the fingerprint.
    Shard,
}

/// Where the source has a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// What to select from.
    pub(crate) from: &'static str,
    /// The columns that the source has under other names, or that follow from others.
    columns: &'static [(&'static str, &'static str)],
}

/// The tables that are not simply there under the same name.
const ORIGINS: &[(&str, Origin)] = &[
    (
        "application",
        Origin {
            from: "application",
            columns: &[
                ("shard", "key"),
                (
                    "routed",
                    "coalesce((SELECT max(r.key) FROM endpoint AS e JOIN endpoint_revision AS r \
                     ON r.endpoint = e.key WHERE e.application = application.key), 0)",
                ),
            ],
        },
    ),
    // The endpoints of a message are those before it, so its own key names the moment.
    ("message", Origin { from: "message", columns: &[("routed", "key")] }),
    (
        "content",
        Origin { from: "message WHERE payload IS NOT NULL", columns: &[("message", "key")] },
    ),
    (
        "message_event_id",
        Origin { from: "message WHERE event_id IS NOT NULL", columns: &[("message", "key")] },
    ),
    ("meta", Origin { from: "meta WHERE name <> 'epoch'", columns: &[] }),
    (
        "claim",
        Origin {
            from: include_str!("claims.sql"),
            columns: &[("shard", "coalesce(application, fingerprint)")],
        },
    ),
];

/// Columns of the source that hold nothing yet.
const RESERVED: &[(&str, &[&str])] = &[("message", &["payload_ref", "shard"])];

/// Columns of the source that are in another table of the target.
const ELSEWHERE: &[(&str, &str)] = &[("message", "payload"), ("message", "headers")];

impl Table {
    /// What the source has to be asked for the table's columns, in their order.
    pub(crate) fn select(&self) -> String {
        let origin = ORIGINS.iter().find(|(name, _)| *name == self.name).map(|(_, origin)| origin);
        let expressions: Vec<&str> = self
            .columns
            .iter()
            .map(|Column { name, kind }| {
                let given = origin.and_then(|origin| origin.column(name));
                let usual = if *kind == Kind::Shard { "application" } else { name.as_str() };
                given.unwrap_or(usual)
            })
            .collect();
        let from = origin.map_or(self.name.as_str(), |origin| origin.from);
        format!("SELECT {} FROM {from}", expressions.join(", "))
    }
}

impl Origin {
    fn column(&self, name: &str) -> Option<&'static str> {
        self.columns.iter().find(|(column, _)| *column == name).map(|(_, expression)| *expression)
    }
}

/// Makes sure that nothing of the source is left behind.
pub(super) fn check(
    tables: &[Table],
    source: &BTreeMap<String, BTreeSet<String>>,
) -> Result<(), Error> {
    for (name, columns) in source {
        let table = tables.iter().find(|table| table.name == *name);
        let table = table.ok_or_else(|| Error::Schema(format!("only the source has {name}")))?;
        let reserved = RESERVED.iter().find(|(table, _)| table == name).map_or(&[][..], |it| it.1);
        for column in columns {
            let known = table.columns.iter().any(|it| it.name == *column)
                || reserved.contains(&column.as_str())
                || ELSEWHERE.contains(&(name, column));
            if !known {
                return Err(Error::Schema(format!("only the source has {name}.{column}")));
            }
        }
    }
    Ok(())
}
