//! Whom destinations with a protocol of their own may dial.
//!
//! Their connections do not go through the [`Guard`](super::Guard), so nothing is allowed but what the
//! operator has named: a name as it is written, whatever it resolves to.

/// The hosts that an operator has named.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<(String, Option<u16>)>);

impl Hosts {
    /// Hosts in lower case, each with a port or all.
    pub fn new(allowed: impl IntoIterator<Item = (String, Option<u16>)>) -> Hosts {
        Hosts(allowed.into_iter().collect())
    }

    /// Whether this may be dialled.
    pub fn allow(&self, host: &str, port: u16) -> bool {
        let is_it = |(name, any): &(String, Option<u16>)| {
            name.eq_ignore_ascii_case(host) && any.is_none_or(|allowed| allowed == port)
        };
        self.0.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_allowed() {
        let hosts =
            Hosts::new([("db.example.com".to_owned(), Some(5432)), ("::1".to_owned(), None)]);
        for (host, port, expect) in [
            ("db.example.com", 5432, true),
            ("DB.example.com", 5432, true),
            ("db.example.com", 5433, false),
            ("example.com", 5432, false),
            ("x.db.example.com", 5432, false),
            ("::1", 1, true),
            ("127.0.0.1", 1, false),
        ] {
            assert_eq!(hosts.allow(host, port), expect, "{host} {port}");
        }
        assert!(!Hosts::default().allow("localhost", 25));
    }
}
