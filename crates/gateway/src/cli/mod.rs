//! The command line: what can be asked of the program, and how it ends.
//!
//! Data goes to the standard output, everything else to the standard error, errors in plain text
//! even where data is JSON: the exit code tells programs that there is one, [`EXIT_CODES`] which.

mod api;
mod audit;
mod completions;
mod connect;
mod connections;
mod curl;
mod destinations;
mod dev;
mod environment;
mod export;
mod fixture;
mod groups;
mod inspect;
mod keys;
mod listen;
mod man;
mod mcp;
mod migrate;
mod outward;
mod prose;
mod providers;
#[cfg(test)]
mod reference;
mod replay;
mod sample;
mod selection;
mod send;
mod serve;
mod server;
mod settings;
mod sign;
mod similar;
mod span;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod token;
mod transform;
mod trigger;
mod verify;
mod welcome;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::app;
use crate::config;
use crate::data_lock::LockError;

/// How the program ends, and what that means.
pub const EXIT_CODES: [(u8, &str); 6] = [
    (0, "done"),
    (1, "failed, and the standard error says why; `verify`: the request is not valid"),
    (Failure::USAGE, "a wrong setting or argument"),
    (70, "the system gives no random bytes"),
    (74, "the disk failed; the next start reads what it holds"),
    (Failure::HELD, "another process holds the data directory"),
];

/// Webhooks and callback URLs: send, receive, call back
#[derive(Debug, Parser)]
#[command(
    name = "ringback",
    version,
    after_help = "\
`ringback help COMMAND` explains a command. Exit codes: 0 done, 1 failed,
64 a wrong setting or argument, 75 another process holds the data directory."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// The command line as clap knows it: what is parsed, and what help, completions, man pages and
/// `docs/cli.md` are made of.
#[must_use]
pub fn command() -> clap::Command {
    groups::listed(Cli::command())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Run a server for development, with a sample to look at
    Dev(dev::Args),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Create and list environments
    #[command(subcommand)]
    Environment(environment::Command),
    /// List and replace the keys that encrypt secrets
    #[command(subcommand)]
    Keys(keys::Command),
    /// Show who changed what, newest first
    Audit(audit::Args),
    /// Move an installation from one store to another
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Send a message through a running server
    Send(send::Args),
    /// Bring what arrives at sources to localhost, or to a program
    Listen(Box<listen::Args>),
    /// Send a source a sample event, signed as its provider would
    Sample(sample::Args),
    /// Send a sample or recorded event, signed as its provider would
    Trigger(trigger::Args),
    /// Send messages again, to where they went or elsewhere
    Replay(replay::Args),
    /// Write messages as curl, HAR, JSON lines, or fixtures
    Export(export::Args),
    /// Show what happens at a server while it happens
    Tail(tail::Args),
    /// Make a URL to throw away, and show what arrives at it
    Inspect(inspect::Args),
    /// List who is known to send webhooks, or show one
    Providers(providers::Args),
    /// List where events can go other than to URLs, or show one
    Destinations(destinations::Args),
    /// Connect an account at a provider of OAuth
    Connect(connect::Args),
    /// List connected accounts and use them, or who can be connected
    #[command(subcommand)]
    Connections(connections::Command),
    /// Ask a running server for any operation
    Api(api::Args),
    /// Serve agents over the Model Context Protocol
    Mcp(mcp::Args),
    /// Sign a body, as Standard Webhooks or as a provider does
    Sign(sign::TopArgs),
    /// Try programs that transform messages
    #[command(subcommand)]
    Transform(transform::Command),
    /// Say whether a request is genuine, and if not, why
    Verify(verify::Args),
    /// Print a script with which a shell completes this command line
    Completions(completions::Args),
    /// Write manual pages
    Man(man::Args),
}

/// Parses the process's arguments and does what they ask for.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == crate::transform::COMMAND) {
        // Not a command for people: it is in no help, and does nothing that it was not asked for.
        return crate::transform::guest(words.next().as_deref().and_then(|word| word.to_str()));
    }
    let read = command().try_get_matches();
    let cli = match read.and_then(|words| Cli::from_arg_matches(&words)) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way, too, and are no failure.
            let code = if error.use_stderr() { Failure::USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match cli.command {
        Some(command) => command.run(),
        None => data(welcome::WELCOME).map_err(Failure::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                note(&format!("error: {failure}"));
            }
            ExitCode::from(failure.code())
        }
    }
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(args) => serve::run(args),
            Self::Dev(args) => dev::run(args),
            Self::Token(command) => token::run(command),
            Self::Environment(command) => environment::run(command),
            Self::Keys(command) => keys::run(command),
            Self::Audit(args) => audit::run(args),
            Self::Migrate(command) => migrate::run(command),
            Self::Send(args) => send::run(args),
            Self::Listen(args) => listen::run(*args),
            Self::Sample(args) => sample::run(args),
            Self::Trigger(args) => trigger::run(args),
            Self::Replay(args) => replay::run(args),
            Self::Export(args) => export::run(args),
            Self::Tail(args) => tail::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Sign(args) => sign::run_top(args),
            Self::Providers(args) => providers::run(args),
            Self::Destinations(args) => destinations::run(args),
            Self::Connect(args) => connect::run(args),
            Self::Connections(command) => connections::run(command),
            Self::Api(args) => api::run(args),
            Self::Mcp(args) => mcp::run(args),
            Self::Transform(command) => transform::run(command),
            Self::Verify(args) => verify::run(args),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Setting(#[from] config::Error),
    #[error(transparent)]
    File(#[from] config::ReadError),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{0}")]
    Failed(String),
    /// What there is to say stands in the output.
    #[error("not as it should be")]
    Told,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    const USAGE: u8 = 64;
    const HELD: u8 = 75;

    /// Whether whoever asked knows already: it was said, or nobody reads the output any more.
    fn is_told(&self) -> bool {
        match self {
            Self::Told => true,
            Self::Io(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Setting(_) | Self::File(_) | Self::Usage(_) => Self::USAGE,
            Self::App(app::Error::Setting(_) | app::Error::Key(_)) => Self::USAGE,
            Self::Lock(LockError::Held { .. })
            | Self::App(app::Error::Lock(LockError::Held { .. })) => Self::HELD,
            Self::App(_) | Self::Lock(_) | Self::Failed(_) | Self::Told | Self::Io(_) => 1,
        }
    }
}

/// One line of data.
fn data(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Data that brings its own lines.
fn text(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// One line for the person at the terminal; a closed standard error is nobody's loss.
fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
