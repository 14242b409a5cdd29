//! `ringback connect`: whoever sits here connects an account, through a running server.
//!
//! The server asks the provider, and keeps what is granted. This command is the application that says
//! who came back: where the provider has a flow for devices (RFC 8628) a code is shown and the server is
//! polled; elsewhere a browser comes back to a port of this machine (RFC 8252, section 7.3).

mod browser;
mod device;

use std::future::Future;
use std::time::Duration;

use http::Method;
use ringback_domain::time::Timestamp;
use serde_json::{Value, json};

use super::server::{Server, ask, call, carried, listed, path_segment};
use super::{Failure, data, note};
use crate::api_client::ApiClient;
use crate::app::Signals;
use crate::terminal::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The provider, such as github; `ringback connections providers` lists them
    provider: String,
    /// Application that connects, by id or uid [default: the one that has a client there]
    #[arg(long, value_name = "APP")]
    application: Option<String>,
    /// Client at the provider (ocl_…) [default: the only one that there is]
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The application's name for whoever connects
    #[arg(long, value_name = "NAME", env = "USER")]
    user_ref: String,
    /// A scope to ask for; may be given several times [default: the client's]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Come back with a browser even where the provider has a flow for devices
    #[arg(long)]
    browser: bool,
    /// Only print where to go, and open no browser
    #[arg(long)]
    no_open: bool,
    #[command(flatten)]
    server: Server,
    /// Print the connection as JSON, not only its id
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let connection = carried(connect(&args))?;
    if args.json {
        return Ok(data(&connection.to_string())?);
    }
    let text = |field: &str| printable(connection[field].as_str().unwrap_or_default());
    let account = match &*text("account") {
        "" => String::new(),
        account => format!(" as {account}"),
    };
    note(&format!("connected {} at {}{account}", text("userRef"), text("provider")));
    Ok(data(&text("id"))?)
}

/// The connection that comes of it.
async fn connect(args: &Args) -> Result<Value, Failure> {
    let api = args.server.client()?;
    let client = client(&api, args).await?;
    let wanted = json!({ "client": client, "userRef": args.user_ref, "scopes": args.scope });
    // Heard from here on: there may be something to cancel.
    let signals = Signals::new()?;
    let begun = if args.browser { None } else { device::begin(&api, &wanted).await? };
    match begun {
        Some(begun) => {
            device::show(&begun, &args.provider);
            let flow = Flow::new(&api, &begun, &args.user_ref);
            flow.followed(signals, device::granted(&flow, &begun)).await
        }
        None => {
            let (listener, page) = browser::listen().await?;
            let begun = browser::begin(&api, wanted, &page).await?;
            browser::show(&begun, &args.provider);
            if !args.no_open {
                browser::open(&begun);
            }
            let flow = Flow::new(&api, &begun, &args.user_ref);
            flow.followed(signals, browser::granted(&flow, listener)).await
        }
    }
}

/// The client that is named, or the only one that there is.
async fn client(api: &ApiClient, args: &Args) -> Result<String, Failure> {
    /// How many are named where there are several.
    const NAMED: usize = 10;
    let provider = &args.provider;
    if let Some(id) = &args.client {
        let path = format!("/api/v1/oauth-client/{}", path_segment(id));
        let client = ask(api, Method::GET, &path, None).await?;
        return match client["provider"].as_str() {
            Some(found) if found == provider => Ok(id.clone()),
            found => {
                let found = printable(found.unwrap_or_default());
                Err(Failure::Usage(format!("{id} is a client at {found}, not at {provider}")))
            }
        };
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("provider", provider);
    if let Some(application) = &args.application {
        query.append_pair("application", application);
    }
    let path = format!("/api/v1/oauth-client?{}", query.finish());
    match &*listed(api, &path, NAMED).await? {
        [] => Err(Failure::Failed(none(args))),
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        several => {
            let lines = several.iter().map(|one| {
                let text = |field: &str| printable(one[field].as_str().unwrap_or_default());
                format!("\n  {}  {}  {}", text("id"), text("application"), text("name"))
            });
            let lines = lines.map(|line| line.trim_end().to_owned()).collect::<String>();
            Err(Failure::Usage(format!(
                "there are several clients at {provider}: say which with --client{lines}"
            )))
        }
    }
}

/// What to do where there is no client.
fn none(args: &Args) -> String {
    let Args { provider, application, .. } = args;
    let of = application.as_ref().map(|it| format!(" of the application {it}")).unwrap_or_default();
    let application = application.as_deref().unwrap_or("…");
    let body = json!({ "application": application, "provider": provider, "clientId": "…", "clientSecret": "…" });
    format!(
        "there is no client{of} at {provider}. Register one with the provider, and tell the server what \
         it is called there with POST /api/v1/oauth-client {body}; the answer has the redirect URI \
         that the provider has to know. `ringback connections provider {provider}` says what it takes"
    )
}

/// A flow under way.
struct Flow<'a> {
    api: &'a ApiClient,
    id: String,
    /// Who sits here.
    user_ref: &'a str,
    /// How long it lasts, by the server's clock.
    lasts: Duration,
}

impl<'a> Flow<'a> {
    /// The flow that the server says was begun.
    fn new(api: &'a ApiClient, begun: &Value, user_ref: &'a str) -> Flow<'a> {
        let text = |field: &str| begun[field].as_str().unwrap_or_default().to_owned();
        let time = |field: &str| text(field).parse::<Timestamp>().ok();
        let lasts = time("expiresAt").zip(time("createdAt")).map(|(end, begin)| end.since(begin));
        let lasts = lasts.unwrap_or_default();
        Flow { api, id: text("id"), user_ref, lasts }
    }

    /// Where something is done with it.
    fn path(&self, what: &str) -> String {
        format!("/api/v1/authorization/{}/{what}", path_segment(&self.id))
    }

    /// The connection that comes of it. Nobody can go on with a flow from which nothing comes here:
    /// it is canceled, unless it has ended.
    async fn followed(
        &self,
        mut signals: Signals,
        granted: impl Future<Output = Result<Value, Failure>>,
    ) -> Result<Value, Failure> {
        let outcome = tokio::select! {
            granted = granted => granted,
            () = signals.stop() => Err(Failure::Failed("interrupted".to_owned())),
        };
        let Err(failure) = outcome else { return outcome };
        let canceled = call(self.api, Method::POST, &self.path("cancel"), None).await;
        Err(Failure::Failed(match canceled {
            Ok(answer) if answer.status.is_success() => {
                format!("{failure}; the authorization is canceled")
            }
            Ok(_) => failure.to_string(),
            Err(error) => format!("{failure}; the authorization is not canceled: {error}"),
        }))
    }
}
