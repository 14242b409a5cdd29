//! Text for people: set off where there is a terminal, and never able to steer it.

use std::io::IsTerminal as _;

/// How text is set off; all empty without a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Colours {
    pub(crate) bold: &'static str,
    pub(crate) dim: &'static str,
    pub(crate) good: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) accent: &'static str,
    pub(crate) end: &'static str,
}

impl Colours {
    /// ANSI on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if unwanted || !std::io::stdout().is_terminal() {
            return Self::default();
        }
        Self {
            bold: "\x1b[1m",
            dim: "\x1b[2m",
            good: "\x1b[32m",
            bad: "\x1b[31m",
            accent: "\x1b[36m",
            end: "\x1b[0m",
        }
    }
}

/// Whoever sent the text shall not steer the terminal: control characters are spelled out.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\n    "),
            other if other.is_control() => out.extend(other.escape_default()),
            other => out.push(other),
        }
    }
    out
}
