//! Rules about what files are called and how they begin.

use super::Finding;
use super::source::File;

const CATCH_ALL: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager"];

/// A folder or file is named for what happens in it.
pub(super) fn catch_all_name(file: &File) -> Option<Finding> {
    if !file.is_rust() {
        return None;
    }
    let named = file.path.trim_end_matches(".rs").split('/').find(|part| CATCH_ALL.contains(part));
    named.map(|part| Finding {
        path: file.path.clone(),
        line: 1,
        rule: "catch-all-name",
        what: format!("`{part}` says nothing: name it for what happens to the data"),
    })
}

/// Every source file of a crate says at its top what it is and why.
pub(super) fn module_doc(file: &File) -> Option<Finding> {
    let source = file.is_rust() && file.path.starts_with("crates/") && !file.is_test();
    if !source || file.text.starts_with("//!") {
        return None;
    }
    Some(Finding {
        path: file.path.clone(),
        line: 1,
        rule: "module-doc",
        what: "a file begins with `//!`: what it is, why, and what always holds".to_owned(),
    })
}
