//! `ringback audit`: as `ringback token`, with or without a server.

use super::token::{Shared, ask};
use super::{Failure, data};
use crate::control::{AuditInfo, Request, Response};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment whose log it is
    #[arg(long, value_name = "NAME", default_value = "default")]
    environment: String,
    /// Only about this application, by id or uid
    #[arg(long, value_name = "APP")]
    application: Option<String>,
    /// Only of this operation, such as endpoint.patch
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// At most this many entries
    #[arg(long, default_value_t = 50, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    limit: usize,
    #[command(flatten)]
    shared: Shared,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Args { environment, application, operation, limit, shared } = args;
    let config = shared.data.load()?.config;
    let request = Request::ListAudit { environment, application, operation, limit };
    let entries = match ask(&config, request)? {
        Response::Audit(entries) => entries,
        Response::Refused { reason } => return Err(Failure::Failed(reason)),
        other => return Err(Failure::Failed(format!("an answer to something else: {other:?}"))),
    };
    if shared.json {
        return Ok(data(&serde_json::json!(entries).to_string())?);
    }
    Ok(entries.iter().try_for_each(|entry| data(&line(entry)))?)
}

/// An entry on a line: when, who, what, to what.
fn line(entry: &AuditInfo) -> String {
    let AuditInfo { timestamp, actor, operation, resources, .. } = entry;
    let resources = resources.iter().map(|(what, name)| format!("  {what}={name}"));
    format!("{timestamp}  {actor}  {operation}{}", resources.collect::<String>())
}

#[cfg(test)]
mod tests {
    use ringback_domain::time::Timestamp;

    use super::*;

    #[test]
    fn an_entry_is_a_line() {
        let resources = [("app_id", "app_1"), ("endpoint_id", "ep_1")];
        let entry = AuditInfo {
            id: "audit_1".to_owned(),
            timestamp: Timestamp(0),
            actor: "tok_1 (admin, ci)".to_owned(),
            operation: "endpoint.patch".to_owned(),
            resources: resources.map(|(what, name)| (what.to_owned(), name.to_owned())).into(),
            request_id: None,
            address: None,
        };
        let expect = "1970-01-01T00:00:00.000Z  tok_1 (admin, ci)  endpoint.patch  app_id=app_1  endpoint_id=ep_1";
        assert_eq!(line(&entry), expect);
    }
}
