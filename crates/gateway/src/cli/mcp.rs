//! `ringback mcp`: the server of the Model Context Protocol, for agents.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::server::Server;
use super::{Failure, data, note};
use crate::app::Signals;
use crate::mcp::{Access, Agents, Caller, Doors, serve_http, serve_stdio};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Let agents also send again what was sent, and send sources samples
    #[arg(long)]
    write: bool,
    /// Serve over HTTP at this address, path /mcp, instead of the standard streams
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Another name by which it is reached over HTTP; those of the loopback always are
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// Pages of this origin may call it over HTTP: its scheme, host and port
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    if let Some(address) = args.http
        && !address.ip().is_loopback()
        && args.allow_host.is_empty()
    {
        let hint = "say by which name it is reached: --allow-host mcp.example.com";
        return Err(Failure::Usage(format!("--http {address} is not the loopback: {hint}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(serve(args));
    // A read of the standard input that is under way ends with the process.
    runtime.shutdown_background();
    done
}

async fn serve(args: Args) -> Result<(), Failure> {
    let access = if args.write { Access::Write } else { Access::Read };
    let mut signals = Signals::new()?;
    let Some(address) = args.http else {
        let agents = Agents::new(args.server.client()?, access, Caller::Starter);
        return tokio::select! {
            done = serve_stdio(agents, tokio::io::stdin(), tokio::io::stdout()) => Ok(done?),
            () = signals.stop() => Ok(()),
        };
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {address}: {error}")))?;
    data(&format!("listening on http://{}/mcp", listener.local_addr()?))?;
    if access == Access::Write {
        note("agents may send again and send samples (--write)");
    }
    // Each request brings its own token; what starts the process is not asked for one.
    let api = args.server.client_with(String::new())?;
    let agents = Agents::new(api, access, Caller::Bearer);
    let doors = Doors { hosts: args.allow_host, origins: args.allow_origin };
    serve_http(listener, agents, doors, async move { signals.stop().await }).await?;
    Ok(())
}
