//! What a listener is called when nobody says: who sits where, and what is listened to.

use ringback_domain::scope::UID_LENGTH;

/// `ada.laptop`, or `ada.laptop.github` with a source: the same again on the same machine, so that
/// the place is found again.
pub(super) fn default(user: &str, host: &str, sources: &[String]) -> String {
    // The domain of a machine changes with the network that it is in.
    let host = host.split('.').next().unwrap_or_default();
    let mut sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    sources.sort_unstable();
    let parts = [user, host].into_iter().chain(sources);
    let parts = parts.map(cleaned).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let mut name = if parts.is_empty() { "listener".to_owned() } else { parts.join(".") };
    // A name may not begin like an id.
    if name.starts_with("lsn_") {
        name.insert(0, '-');
    }
    name.truncate(UID_LENGTH);
    name
}

/// Only what a uid may have.
fn cleaned(part: &str) -> String {
    let allowed = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    part.chars().map(|one| if allowed(one) { one } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_uids() {
        fn check(user: &str, host: &str, sources: &[&str], expected: &str) {
            let sources: Vec<String> = sources.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(default(user, host, &sources), expected);
        }
        check("ada", "laptop", &[], "ada.laptop");
        check("ada", "laptop.fritz.box", &["stripe", "github"], "ada.laptop.github.stripe");
        check("ada l", "lap/top", &[], "ada-l.lap-top");
        check("", "", &[], "listener");
        check("lsn_x", "h", &[], "-lsn_x.h");
        check("é", "h", &[], "-.h");
        assert_eq!(default(&"x".repeat(400), "h", &[]).len(), 256);
    }
}
