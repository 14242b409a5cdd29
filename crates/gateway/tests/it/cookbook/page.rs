//! A page's fenced blocks, and whether what it shows is what happened.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use super::Own;
use crate::support::Receipt;

/// The blocks of a page, in order.
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
pub(super) enum Block {
    /// The names of what the reader has to fill in.
    Export(Vec<String>),
    /// Commands, and whether they have to print the same when they are run again.
    Run(String, Repeatable),
    /// What the commands before it print.
    Printed(String),
    /// A request that they cause.
    Arrived(String),
    /// For the eye.
    Picture,
}

/// Whether a block may be run again: what sets a recipe up may.
type Repeatable = bool;

impl Page {
    pub(super) fn read(path: &Path) -> Page {
        let text = fs::read_to_string(path).unwrap();
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        let mut heading = "";
        while let Some(line) = lines.next() {
            if line.starts_with("## ") {
                heading = line;
            }
            let Some(kind) = line.strip_prefix("```") else { continue };
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let inside = inside.join("\n");
            let after_commands = matches!(blocks.last(), Some(Block::Run(..)));
            blocks.push(match kind {
                "sh" => commands(inside, heading == "## Set it up"),
                "text" | "json" if after_commands => Block::Printed(inside),
                "text" if !blocks.iter().any(|block| matches!(block, Block::Run(..))) => {
                    Block::Picture
                }
                "http" => Block::Arrived(inside),
                _ => panic!("{}: nothing proves this block:\n{inside}", path.display()),
            });
        }
        Page { blocks }
    }

    /// What the reader has to fill in, sorted.
    pub(super) fn exported(&self) -> Vec<&str> {
        let names = self.blocks.iter().filter_map(|block| match block {
            Block::Export(names) => Some(names),
            _ => None,
        });
        let names: BTreeSet<&str> = names.flatten().map(String::as_str).collect();
        names.into_iter().collect()
    }
}

fn commands(text: String, repeatable: Repeatable) -> Block {
    let name = |line: &str| Some(line.strip_prefix("export ")?.split_once('=')?.0.to_owned());
    match text.lines().map(name).collect() {
        Some(names) => Block::Export(names),
        None => Block::Run(text, repeatable),
    }
}

/// A request as a page shows it.
#[derive(Debug)]
pub(super) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    pub(super) fn read(text: &str, own: &Own) -> Request {
        // The longest names first: none is the beginning of another then.
        let mut names: Vec<_> = own.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let text = names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value));
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut head = head.lines().map(str::to_owned);
        let line = head.next().unwrap();
        let header = |line: String| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Request { line, headers: head.map(header).collect(), body: body.to_owned() }
    }

    /// Whether this is the request that arrived at this address.
    pub(super) fn fits(&self, address: SocketAddr, receipt: &Receipt) -> bool {
        let line = format!("{} http://{address}{}", receipt.method, receipt.path);
        fits(&self.line, &line)
            && self.headers.iter().all(|(name, value)| fits(value, receipt.header(name)))
            && fits(&self.body, &String::from_utf8_lossy(&receipt.body))
    }
}

/// Whether `text` is `shown`, in which each `…` is anything within a line.
pub(super) fn fits(shown: &str, text: &str) -> bool {
    let (shown, text): (Vec<_>, Vec<_>) = (shown.lines().collect(), text.lines().collect());
    shown.len() == text.len() && shown.iter().zip(text).all(|(shown, text)| line_fits(shown, text))
}

fn line_fits(shown: &str, text: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn what_is_shown_is_compared() {
    assert!(fits("a\nb … c", "a\nb 1 2 c"));
    assert!(fits("… b…", "a b"));
    for (shown, text) in [("a", "b"), ("a", "a\nb"), ("a…", "b"), ("…c", "a"), ("a…b…", "ac")]
    {
        assert!(!fits(shown, text), "{shown} {text}");
    }
}
