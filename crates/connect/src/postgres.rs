//! PostgreSQL: an event becomes a row.
//!
//! The server converts the types: fields are handed over as one JSON object, which
//! `jsonb_populate_record` makes a row of the table's own type. So whatever is written as text or as a
//! number in an event fits a column of any type that can be written so.
//!
//! One statement without a name and without a transaction around it, so that it works behind a pooler
//! that gives each statement another connection.

use ringback_domain::destination::Problem;
use ringback_tls::Trust;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{Config, Error, NoTls};
use tokio_rustls::TlsConnector;

use crate::dial::{Stream, dial, protect};
use crate::settings::{decoded, problem};
use crate::spare::Spare;
use crate::{Handed, Place, Protocol, Refused, Settings};

/// What a client says when it wants TLS
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A table of somebody's.
pub(crate) struct Postgres {
    place: Place,
    config: Config,
    tls: Tls,
    table: String,
    /// The columns by which a row is found that is there already.
    conflict: Vec<String>,
    spare: Spare<Session>,
}

/// How a connection is protected.
enum Tls {
    Disable,
    /// If the server can.
    Prefer(TlsConnector),
    Require(TlsConnector),
}

impl Tls {
    fn of(settings: Settings<'_>, mode: &str) -> Result<Tls, Problem> {
        let given = settings.authorities()?;
        let roots = || given.clone().unwrap_or_else(ringback_tls::system);
        let trust = match (mode, &given) {
            ("disable", _) => return Ok(Tls::Disable),
            // As PostgreSQL's own clients do: who names authorities wants them to count.
            ("verify-ca", _) | ("require", Some(_)) => Trust::AnyName(roots()),
            ("verify-full", _) => Trust::Name(roots()),
            ("prefer" | "require", _) => Trust::Anybody,
            _ => {
                let modes = "disable, prefer, require, verify-ca or verify-full";
                return Err(problem("url", format!("sslmode is {modes}")));
            }
        };
        let connector = settings.trusting(trust)?;
        Ok(if mode == "prefer" { Tls::Prefer(connector) } else { Tls::Require(connector) })
    }
}

/// A connection; the task that keeps it going ends with it.
struct Session {
    client: tokio_postgres::Client,
    _driver: JoinSet<()>,
}

/// The URL without its query, whose `sslmode` is returned beside it.
fn address(settings: Settings<'_>) -> Result<(url::Url, Place, String), Problem> {
    let (url, place) = settings.url("url", &[("postgres", 5432), ("postgresql", 5432)])?;
    let mut mode = "prefer".to_owned();
    for (name, value) in url.query_pairs() {
        // Others could name another host.
        match &*name {
            "sslmode" => mode = value.into_owned(),
            _ => return Err(problem("url", format!("`{name}` cannot be said there"))),
        }
    }
    Ok((url, place, mode))
}

impl Protocol for Postgres {
    fn place(settings: Settings<'_>) -> Result<Place, Problem> {
        address(settings).map(|(_, place, _)| place)
    }

    fn open(settings: Settings<'_>) -> Result<Postgres, Problem> {
        let (url, place, mode) = address(settings)?;
        let mut config = Config::new();
        match (url.username(), url.password()) {
            ("", _) => return Err(problem("url", "names no user")),
            (_, Some(_)) => return Err(problem("url", "must not hold the password")),
            (user, None) => config.user(decoded(user)),
        };
        if let Some(password) = settings.get("password") {
            config.password(password);
        }
        match url.path().trim_start_matches('/') {
            "" => {}
            database => drop(config.dbname(decoded(database))),
        }
        // What protects the connection has been done when the driver gets it.
        config.ssl_mode(SslMode::Disable).application_name("ringback");
        let tls = Tls::of(settings, &mode)?;
        let table: Option<Vec<String>> = settings.need("tableName")?.split('.').map(name).collect();
        let table = table.ok_or_else(|| problem("tableName", "has a part without a name"))?;
        let columns = settings.get("conflict").map(|names| names.split(',').map(str::trim));
        let conflict: Option<Vec<String>> = columns.into_iter().flatten().map(name).collect();
        let conflict = conflict.ok_or_else(|| problem("conflict", "has to name columns"))?;
        let table = table.join(".");
        Ok(Postgres { place, config, tls, table, conflict, spare: Spare::new() })
    }

    async fn deliver(&self, event: &Handed) -> Result<String, Refused> {
        let row = Row::of(event)?;
        let statement = self.statement(&row);
        let session = match self.spare.take(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => self.connect().await?,
        };
        let done = session.client.query_typed(&statement, &[(&row.record, Type::TEXT)]).await;
        if !session.client.is_closed() {
            self.spare.put(session);
        }
        // A statement that changed nothing found its row there.
        Ok(if done.map_err(|error| refused(&error))?.is_empty() { "0 rows" } else { "1 row" }
            .into())
    }
}

/// A name as SQL has it, whatever is in it.
fn name(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| format!("\"{}\"", name.replace('"', "\"\"")))
}

impl Postgres {
    fn statement(&self, row: &Row) -> String {
        let table = &self.table;
        let columns = row.columns.join(", ");
        let keys = self.conflict.join(", ");
        let others = row.columns.iter().filter(|column| !self.conflict.contains(column));
        let changes: Vec<String> =
            others.map(|column| format!("{column} = EXCLUDED.{column}")).collect();
        let conflict = match (&*keys, &*changes) {
            // The row is the event, so one that is there is this one.
            ("", _) if row.is_event => "ON CONFLICT DO NOTHING".to_owned(),
            ("", _) => String::new(),
            (keys, []) => format!("ON CONFLICT ({keys}) DO NOTHING"),
            (keys, changes) => format!("ON CONFLICT ({keys}) DO UPDATE SET {}", changes.join(", ")),
        };
        format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} \
             FROM jsonb_populate_record(NULL::{table}, $1::jsonb) {conflict} RETURNING 1"
        )
    }

    async fn connect(&self) -> Result<Session, Refused> {
        let stream = self.stream().await?;
        let (client, connection) =
            self.config.connect_raw(stream, NoTls).await.map_err(|error| refused(&error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // Whoever uses it is told what went wrong.
            let _ = connection.await;
        });
        Ok(Session { client, _driver: driver })
    }

    async fn stream(&self) -> Result<BufReader<Box<dyn Stream>>, Refused> {
        let mut stream = dial(&self.place).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            Tls::Disable => Box::new(stream),
            Tls::Prefer(tls) | Tls::Require(tls) => {
                stream.write_all(&SSL_REQUEST).await?;
                match (stream.read_u8().await?, &self.tls) {
                    (b'S', _) => protect(stream, tls, &self.place).await?,
                    (b'N', Tls::Prefer(_)) => Box::new(stream),
                    (b'N', _) => return Err(Refused::for_now("tls", "the server has no TLS")),
                    _ => return Err(Refused::nonsense("the server is no PostgreSQL")),
                }
            }
        };
        Ok(BufReader::new(stream))
    }
}

/// What is inserted.
struct Row {
    /// Quoted.
    columns: Vec<String>,
    /// The columns' values by name, as JSON.
    record: String,
    /// Nothing was mapped.
    is_event: bool,
}

/// The row of an event that was not mapped.
#[derive(Serialize)]
struct Unmapped<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    payload: Box<RawValue>,
}

impl Row {
    fn of(event: &Handed) -> Result<Row, Refused> {
        let wrong = |error: &dyn std::fmt::Display| {
            Refused::for_good("invalid_value", format!("the event is no text: {error}"))
        };
        if event.fields.is_empty() {
            let text = std::str::from_utf8(&event.body).map_err(|error| wrong(&error))?;
            // Numbers stay as exact as they were written.
            let payload = RawValue::from_string(text.to_owned())
                .or_else(|_| serde_json::value::to_raw_value(text))
                .map_err(|error| wrong(&error))?;
            let unmapped = Unmapped { id: &event.id, kind: &event.kind, payload };
            let record = serde_json::to_string(&unmapped).map_err(|error| wrong(&error))?;
            let columns = ["id", "type", "payload"].into_iter().filter_map(name).collect();
            return Ok(Row { columns, record, is_event: true });
        }
        let columns: Option<Vec<String>> = event.fields.keys().map(|key| name(key)).collect();
        let columns =
            columns.ok_or_else(|| Refused::for_good("invalid_value", "a column without a name"))?;
        let record = serde_json::to_string(&event.fields).map_err(|error| wrong(&error))?;
        Ok(Row { columns, record, is_event: false })
    }
}

fn refused(error: &Error) -> Refused {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        return Refused::for_now("connection_lost", format!("{error}{cause}"));
    };
    let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let explanation = format!("{}: {}{detail}", said.code().code(), said.message());
    // <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    match said.code().code().get(..2).unwrap_or_default() {
        "22" => Refused::for_good("invalid_value", explanation),
        "23" => Refused::for_good("constraint", explanation),
        "42" => Refused::for_good("statement", explanation),
        "54" => Refused::for_good("too_large", explanation),
        "28" => Refused::for_now("authentication", explanation),
        _ => Refused::for_now("database", explanation),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde_json::{Map, Value, json};

    use super::*;

    fn table(settings: &[(&str, &str)]) -> Postgres {
        let given = [("url", "postgres://u@h/d?sslmode=disable"), ("tableName", "app.Orders")];
        let given: BTreeMap<String, String> = given
            .iter()
            .chain(settings)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Postgres::open(Settings(&given)).unwrap()
    }

    fn event(fields: Value, body: &'static str) -> Handed {
        Handed {
            id: "msg_1".to_owned(),
            kind: "a".to_owned(),
            at: 0,
            content_type: None,
            body: Bytes::from(body),
            fields: serde_json::from_value::<Map<String, Value>>(fields).unwrap(),
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let check = |settings: &[(&str, &str)], fields: Value, expect: &str| {
            let row = Row::of(&event(fields, "{}")).unwrap();
            let statement = table(settings).statement(&row);
            assert!(statement.starts_with("INSERT INTO \"app\".\"Orders\" ("), "{statement}");
            let end = statement.split_once("$1::jsonb) ").unwrap().1;
            assert_eq!(end.trim_end_matches("RETURNING 1").trim(), expect);
            assert!(!statement.contains("made-up"), "{statement}");
        };
        let fields = || json!({ "k": "made-up", "we\"ird": 1 });
        check(&[], fields(), "");
        check(&[], json!({}), "ON CONFLICT DO NOTHING");
        let update = r#"ON CONFLICT ("k") DO UPDATE SET "we""ird" = EXCLUDED."we""ird""#;
        check(&[("conflict", "k")], fields(), update);
        let nothing = r#"ON CONFLICT ("k", "we""ird") DO NOTHING"#;
        check(&[("conflict", "k, we\"ird")], fields(), nothing);
    }

    #[test]
    fn an_event_without_a_mapping_is_a_row_with_its_exact_numbers() {
        let check = |body, payload: &str| {
            let row = Row::of(&event(json!({}), body)).unwrap();
            assert_eq!(row.record, format!(r#"{{"id":"msg_1","type":"a","payload":{payload}}}"#));
            assert_eq!(row.columns, ["\"id\"", "\"type\"", "\"payload\""]);
        };
        check(r#"{"n":12345678901234567890.10}"#, r#"{"n":12345678901234567890.10}"#);
        check("no JSON", r#""no JSON""#);
        check("", r#""""#);
        let mut bytes = event(json!({}), "");
        bytes.body = Bytes::from_static(&[0xff]);
        assert!(Row::of(&bytes).is_err_and(|refused| refused.permanent));
    }
}
