//! Checks of single fields, and the list of what is wrong with a body.
//!
//! Everything is checked before it is stored, so that reading never has to. All problems of a body
//! are told at once.

use ringback_domain::{
    application::Metadata,
    event_type,
    id::Kind,
    scope::check_uid,
    time::{self, Timestamp},
};

use super::error::{Error, Problem};

/// The longest name of an application or group, in characters.
pub(super) const NAME_LENGTH: usize = 256;
/// The longest description, in characters.
pub(super) const DESCRIPTION_LENGTH: usize = 4096;
/// The largest metadata, in bytes of all keys and values together.
pub(super) const METADATA_BYTES: usize = 4096;
/// The most channels or tags of one thing.
pub(super) const LABELS: usize = 10;
/// The longest channel or tag, in characters.
pub(super) const LABEL_LENGTH: usize = 128;
/// The most event types that one endpoint can list.
pub(super) const EVENT_TYPES: usize = 1_000;

/// What is wrong with a body so far.
#[derive(Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    /// Leads to the object that is being checked.
    within: Vec<std::borrow::Cow<'static, str>>,
}

impl Problems {
    /// Of a body's top level.
    pub(super) fn of_body() -> Problems {
        Problems { list: Vec::new(), within: vec!["body".into()] }
    }

    /// Of an object inside the body.
    pub(super) fn of_body_field(field: &'static str) -> Problems {
        Problems { list: Vec::new(), within: vec!["body".into(), field.into()] }
    }

    /// Of whatever this path leads to.
    pub(super) fn at(path: &[&str]) -> Problems {
        let within = path.iter().map(|part| (*part).to_owned().into()).collect();
        Problems { list: Vec::new(), within }
    }

    /// Notes that what is being checked is wrong as a whole.
    pub(super) fn add_here(&mut self, what: impl ToString) {
        let loc: Vec<&str> = self.within.iter().map(AsRef::as_ref).collect();
        self.list.push(Problem::at(&loc, what));
    }

    /// Takes over what is wrong elsewhere.
    pub(super) fn append(&mut self, mut other: Problems) {
        self.list.append(&mut other.list);
    }

    /// Notes that `field` is wrong.
    pub(super) fn add(&mut self, field: &str, what: impl ToString) {
        self.add_below(field, None, what);
    }

    /// Notes that what `key` names inside `field` is wrong.
    pub(super) fn add_below(&mut self, field: &str, key: Option<&str>, what: impl ToString) {
        let mut loc: Vec<&str> = self.within.iter().map(AsRef::as_ref).collect();
        loc.push(field);
        loc.extend(key);
        self.list.push(Problem::at(&loc, what));
    }

    /// Notes that what this path leads to, from here on, is wrong.
    pub(super) fn add_at(&mut self, path: &[String], what: impl ToString) {
        let mut loc: Vec<&str> = self.within.iter().map(AsRef::as_ref).collect();
        loc.extend(path.iter().map(String::as_str));
        self.list.push(Problem::at(&loc, what));
    }

    /// The value with this name, of those that there are.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        field: &str,
        name: Option<&str>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(one, _)| Some(*one) == name).map(|(_, value)| *value);
        if name.is_some() && found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.add(field, format!("it is one of {}", names.join(", ")));
        }
        found
    }

    /// Passes the good value on and notes the bad one.
    pub(super) fn check<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|what| self.add(field, what)).ok()
    }

    /// The field must be there.
    pub(super) fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, "field required");
        }
        value
    }

    /// The field must not be there, as nothing would come of it.
    pub(super) fn unsupported<T>(&mut self, field: &str, value: Option<&T>) {
        if value.is_some() {
            self.add(field, "this field is not supported yet");
        }
    }

    /// The field must not be there, as it means nothing here.
    pub(super) fn unwanted<T>(&mut self, field: &str, value: Option<&T>) {
        if value.is_some() {
            self.add(field, "it means nothing here");
        }
    }

    /// One line for people.
    pub(super) fn name(&mut self, field: &str, value: Option<&String>) {
        let Some(value) = value else { return };
        if value.is_empty() || value.chars().count() > NAME_LENGTH {
            self.add(field, format!("it has 1 to {NAME_LENGTH} characters"));
        } else if value.chars().any(char::is_control) {
            self.add(field, "it may not contain control characters");
        }
    }

    /// Some text for people; may be empty.
    pub(super) fn description(&mut self, field: &str, value: Option<&String>) {
        let Some(value) = value else { return };
        if value.chars().count() > DESCRIPTION_LENGTH {
            self.add(field, format!("it has at most {DESCRIPTION_LENGTH} characters"));
        } else if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.add(field, "it may not contain control characters");
        }
    }

    /// The caller's own name for a thing of `kind`.
    pub(super) fn uid(&mut self, field: &str, kind: Kind, value: Option<&String>) {
        if let Some(value) = value {
            self.check(field, check_uid(kind, value));
        }
    }

    /// The caller's labels.
    pub(super) fn metadata(&mut self, field: &str, value: Option<&Metadata>) {
        let Some(value) = value else { return };
        let size: usize = value.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > METADATA_BYTES {
            self.add(field, format!("it has at most {METADATA_BYTES} bytes"));
        }
        if value.contains_key("") {
            self.add(field, "a key may not be empty");
        }
    }

    /// Messages a second.
    pub(super) fn throttle_rate(&mut self, field: &str, value: Option<u32>) {
        if value == Some(0) {
            self.add(field, "it must be at least 1");
        }
    }

    /// A time; one without an offset is taken as UTC.
    pub(super) fn time(&mut self, field: &str, value: &str) -> Option<Timestamp> {
        let parsed = value.parse().or_else(|_| format!("{value}Z").parse());
        self.check(field, parsed.map_err(|_: time::ParseError| "it is an RFC 3339 time"))
    }

    /// Names of event types.
    pub(super) fn event_types(&mut self, field: &str, value: Option<&Vec<String>>) {
        let Some(value) = value else { return };
        if value.len() > EVENT_TYPES {
            self.add(field, format!("there are at most {EVENT_TYPES}"));
        }
        for (index, name) in value.iter().enumerate() {
            if let Err(what) = event_type::check_name(name) {
                self.add_below(field, Some(&index.to_string()), what);
            }
        }
    }

    /// Channels or tags.
    pub(super) fn labels(&mut self, field: &str, value: Option<&Vec<String>>) {
        let Some(value) = value else { return };
        if value.len() > LABELS {
            self.add(field, format!("there are at most {LABELS}"));
        }
        let fits = |label: &str| {
            (1..=LABEL_LENGTH).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte))
        };
        for (index, label) in value.iter().enumerate() {
            if !fits(label) {
                let what = format!(
                    "it has 1 to {LABEL_LENGTH} characters: letters, digits, '-', '_', '.', ':', '+'"
                );
                self.add_below(field, Some(&index.to_string()), what);
            }
        }
    }

    /// # Errors
    /// [`Error::Invalid`] with everything that was noted, if anything was.
    pub(super) fn done(self) -> Result<(), Error> {
        if self.list.is_empty() { Ok(()) } else { Err(Error::Invalid(self.list)) }
    }
}

/// An empty list means the same as none: SDKs and portals send both for "all".
pub(super) fn none_if_empty(list: Option<Vec<String>>) -> Option<Vec<String>> {
    list.filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locs(problems: Problems) -> Vec<String> {
        match problems.done() {
            Ok(()) => Vec::new(),
            Err(Error::Invalid(list)) => list.iter().map(|problem| problem.loc.join(".")).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn all_problems_are_told_with_their_place() {
        let mut problems = Problems::of_body();
        problems.name("name", Some(&String::new()));
        problems.uid("uid", Kind::Application, Some(&"a b".to_owned()));
        problems.labels("channels", Some(&vec!["good".to_owned(), "not good".to_owned()]));
        problems.throttle_rate("throttleRate", Some(0));
        problems.required::<String>("url", None);
        assert_eq!(
            locs(problems),
            ["body.name", "body.uid", "body.channels.1", "body.throttleRate", "body.url"]
        );
    }

    #[test]
    fn what_is_right_is_no_problem() {
        let mut problems = Problems::of_body_field("application");
        problems.name("name", Some(&"Müller & Söhne".to_owned()));
        problems.description("description", Some(&"two\nlines".to_owned()));
        problems.description("description", Some(&String::new()));
        problems.labels("channels", Some(&vec!["project:1+2".to_owned()]));
        problems.event_types("eventTypes", Some(&vec!["user.created".to_owned()]));
        problems.unsupported::<String>("deliverAt", None);
        assert!(locs(problems).is_empty());
    }

    #[test]
    fn text_that_no_terminal_should_see_is_refused() {
        for text in ["a\u{1b}[2Jb", "a\0b"] {
            let mut problems = Problems::of_body_field("application");
            problems.name("name", Some(&text.to_owned()));
            problems.description("description", Some(&text.to_owned()));
            assert_eq!(locs(problems), ["body.application.name", "body.application.description"]);
        }
    }
}
