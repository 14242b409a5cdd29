//! Signature headers as every built-in provider reads them: lists, pairs, groups, encodings.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringback_domain::provider::Provider;
use ringback_fuzz::{Input, judge, provider};

/// A provider, and whatever may be the name of a header in its file.
struct Known {
    provider: Provider,
    names: Vec<String>,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers");
    let files = fs::read_dir(folder).expect("the folder of the providers");
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    // The same bytes mean the same provider in every run.
    paths.sort();
    let files = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml"));
    files
        .map(|path| {
            let text = fs::read_to_string(path).expect("a provider's file");
            Known { provider: provider(&text), names: names(&text) }
        })
        .collect()
});

fn names(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let quoted = text.split('"').filter(|word| word.contains('-') && word.chars().all(is_name));
    let named = text.split("header.").skip(1).filter_map(|rest| rest.split(|c| !is_name(c)).next());
    let mut names: Vec<String> = quoted.chain(named).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([first, second], rest)) = bytes.split_first_chunk() else { return };
    let index = usize::from(u16::from_le_bytes([*first, *second]));
    let known = &KNOWN[index % KNOWN.len()];
    let mut input = Input::new(rest);
    let (query, body) = (input.text(), input.part());
    let headers: Vec<(&str, &[u8])> =
        known.names.iter().map(|name| (name.as_str(), input.part())).collect();
    judge(&known.provider, &headers, &query, body, &input.text());
});
