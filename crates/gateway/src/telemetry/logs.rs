//! Log lines on the standard error output, JSON or pretty.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Logging that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is refused; a checked configuration never has one that is.
    #[error("the log level is not understood: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// This process logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Starts logging for the whole process.
///
/// # Errors
/// When the level is not understood or the process logs already.
pub fn init(log: &Log) -> Result<(), InitError> {
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(&log.level)?)
        .with_writer(BoxMakeWriter::new(std::io::stderr));
    let pretty = match log.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let outcome = if pretty {
        builder.with_ansi(colour).finish().try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(true).finish().try_init()
    };
    outcome.map_err(|_| InitError::Twice)
}

/// Whether a level or a list of directives is understood.
pub(crate) fn check_level(level: &String) -> Result<(), String> {
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    // A lone word that is no level would be taken for the name of a module and silence the rest.
    let lone_word = !level.contains(['=', ',', ':', '[']);
    let known = !lone_word || levels.contains(&level.to_ascii_lowercase().as_str());
    if known && EnvFilter::builder().parse(level).is_ok() {
        return Ok(());
    }
    Err(format!(
        "must be error, warn, info, debug, trace or directives such as \
         \"info,ringback::deliver=debug\", found {level:?}"
    ))
}
