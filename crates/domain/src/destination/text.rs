//! Templates in Jinja's dialect: what they may say, how long they may take, how much they may make.
//!
//! A template is written by whoever configures a destination and filled with what strangers sent, so
//! both sides are bounded. It sees the event and nothing else: no files, no environment, no clock.
//! Its only statements are `for` and `if` (without `set` nothing grows from turn to turn), it may
//! join texts only so often, it runs out of fuel, and what it writes has an end. A value that is not
//! there is a mistake, never an empty text, unless the template says `| default(…)`.

use std::io;
use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use regex::Regex;
use serde::Deserialize;

use super::filters;

/// The longest template, in bytes.
pub const LENGTH: usize = 16 * 1024;
/// The most that a template may write, in bytes.
pub const WRITTEN: usize = 1024 * 1024;
/// How often a template may say `~`, `+` or `*`: each makes a copy of what it joins.
const COPIES: usize = 100;
/// Instructions that one rendering may take.
const FUEL: u64 = 20_000;

/// The one environment: templates are read when they are used, so it holds none.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // What is no text is written as JSON, so that it reads the same wherever it goes.
    environment.set_formatter(|out, _, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&filters::json(value)?).map_err(Error::from),
    });
    filters::add(&mut environment);
    environment
});

/// A template that was read and can be filled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text {
    source: String,
    /// The template is one expression alone, whose value keeps its type.
    is_expression: bool,
}

/// Why a template cannot be used, or could not be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Longer than [`LENGTH`].
    #[error("a template is at most {LENGTH} bytes long")]
    Length,
    /// A statement other than `for` and `if`.
    #[error("`{0}` is not known here: statements are `for` and `if`")]
    Statement(String),
    /// A filter, test or function that there is not.
    #[error("`{0}` is not known here")]
    Unknown(String),
    /// More joins than are allowed.
    #[error("a template may use `~`, `+` and `*` at most {COPIES} times")]
    Copies,
    /// It is no template.
    #[error("{0}")]
    Syntax(String),
    /// What it names is not there.
    #[error("the event has no {0}")]
    Missing(String),
    /// It took too many steps, or wrote more than [`WRITTEN`].
    #[error("the template is not done within its bounds")]
    Bounds,
    /// A filter or operator was given what it cannot work on.
    #[error("{0}")]
    Value(String),
}

impl Text {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Mistake`] if it is none, or asks for more than templates may do.
    pub fn parse(source: &str) -> Result<Text, Mistake> {
        if source.len() > LENGTH {
            return Err(Mistake::Length);
        }
        let code = Code::of(source);
        code.check()?;
        if code.0.bytes().filter(|byte| matches!(byte, b'~' | b'+' | b'*')).count() > COPIES {
            return Err(Mistake::Copies);
        }
        let syntax = |error: Error| Mistake::Syntax(explain(&error));
        ENVIRONMENT.template_from_str(source).map_err(syntax)?;
        let inner = expression(source);
        let is_expression = inner.is_some_and(|it| ENVIRONMENT.compile_expression(it).is_ok());
        Ok(Text { source: source.to_owned(), is_expression })
    }

    /// Whether it is one expression alone: `{{ body.amount }}`.
    pub fn is_expression(&self) -> bool {
        self.is_expression
    }

    /// Fills it.
    ///
    /// # Errors
    /// [`Mistake`], among them [`Mistake::Missing`].
    pub fn render(&self, event: &Value) -> Result<String, Mistake> {
        let mut written = Bounded(Vec::new());
        ENVIRONMENT
            .template_from_str(&self.source)
            .and_then(|template| template.render_captured_to(event.clone(), &mut written).map(drop))
            .map_err(|error| self.mistake(&error, event))?;
        String::from_utf8(written.0).map_err(|_| Mistake::Bounds)
    }

    /// The value of a template that is one expression, of whatever type it is; else the text.
    /// Undefined stays undefined.
    ///
    /// # Errors
    /// [`Mistake`]
    pub fn value(&self, event: &Value) -> Result<Value, Mistake> {
        match expression(&self.source).filter(|_| self.is_expression) {
            Some(inner) => ENVIRONMENT
                .compile_expression(inner)
                .and_then(|expression| expression.eval(event.clone()))
                .map_err(|error| self.mistake(&error, event)),
            None => self.render(event).map(Value::from),
        }
    }

    /// What it names and the event does not have: `body.customer.email`.
    pub(super) fn absent(&self, event: &Value) -> String {
        let template = ENVIRONMENT.template_from_str(&self.source);
        let named = template.map(|it| it.undeclared_variables(true)).unwrap_or_default();
        let is_absent = |name: &String| {
            let step =
                |value: Value, part| value.get_attr(part).ok().filter(|it| !it.is_undefined());
            name.split('.').try_fold(event.clone(), step).is_none()
        };
        let mut absent: Vec<String> = named.into_iter().filter(is_absent).collect();
        absent.sort_unstable();
        absent.join(", ")
    }

    fn mistake(&self, error: &Error, event: &Value) -> Mistake {
        match error.kind() {
            ErrorKind::UndefinedError => Mistake::Missing(self.absent(event)),
            ErrorKind::OutOfFuel | ErrorKind::WriteFailure => Mistake::Bounds,
            _ => Mistake::Value(explain(error)),
        }
    }
}

impl TryFrom<String> for Text {
    type Error = Mistake;

    fn try_from(source: String) -> Result<Text, Mistake> {
        Text::parse(&source)
    }
}

/// What stands between the braces, if there is nothing outside of one pair of them.
fn expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

/// The code of a template: what stands within braces, a line each, with its texts emptied.
struct Code(String);

impl Code {
    fn of(source: &str) -> Code {
        let mut code = String::new();
        let mut rest = source;
        while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
            let (ends, open) = (if rest[at..].starts_with("{{") { "}}" } else { "%}" }, at + 2);
            code.push_str(if ends == "%}" { "\n%" } else { "\n;" });
            rest = &rest[open..];
            let mut quote = None;
            let mut escaped = false;
            let mut end = rest.len();
            for (at, c) in rest.char_indices() {
                match quote {
                    None if rest[at..].starts_with(ends) => {
                        end = at + ends.len();
                        break;
                    }
                    None => code.push(c),
                    Some(open) if c == open && !escaped => code.push(c),
                    Some(_) => {}
                }
                quote = match quote {
                    None if matches!(c, '"' | '\'') => Some(c),
                    Some(open) if c == open && !escaped => None,
                    same => same,
                };
                escaped = c == '\\' && !escaped;
            }
            rest = &rest[end..];
        }
        Code(code)
    }

    /// Whether everything that it names is there, so that a template that is kept can be run.
    fn check(&self) -> Result<(), Mistake> {
        let unknown = |name: &str| Err(Mistake::Unknown(name.to_owned()));
        for (rule, names) in [(&RULES.filter, &filters::NAMES[..]), (&RULES.test, &filters::TESTS)]
        {
            for found in rule.captures_iter(&self.0) {
                if !names.contains(&&found[1]) {
                    return unknown(&found[1]);
                }
            }
        }
        for found in RULES.call.captures_iter(&self.0) {
            let (after, name) = (&found[1], &found[2]);
            let known = KEYWORDS.contains(&name) || filters::TESTS.contains(&name);
            if after == "." || (after.is_empty() && !known) {
                return unknown(name);
            }
        }
        for found in RULES.statement.captures_iter(&self.0) {
            if !STATEMENTS.contains(&&found[1]) {
                return Err(Mistake::Statement(found[1].to_owned()));
            }
        }
        Ok(())
    }
}

const STATEMENTS: [&str; 6] = ["for", "endfor", "if", "elif", "else", "endif"];
/// Words that a parenthesis may follow.
const KEYWORDS: [&str; 8] = ["and", "or", "not", "in", "if", "elif", "else", "is"];

/// Where names stand in [`Code`].
struct Rules {
    statement: Regex,
    filter: Regex,
    test: Regex,
    call: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let rule = |text| Regex::new(text).unwrap_or_else(|_| unreachable!("a constant: {text}"));
    Rules {
        statement: rule(r"(?m)^%[-+]?\s*(\w*)"),
        filter: rule(r"\|\s*(\w*)"),
        test: rule(r"\bis\s+(?:not\s+)?(\w+)"),
        call: rule(r"([|.]?)\s*\b(\w+)\s*\("),
    }
});

/// What is said about a mistake: never a value of the event.
fn explain(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if line > 1 => format!("{what} (line {line})"),
        _ => what,
    }
}

/// Takes [`WRITTEN`] bytes and no more.
pub(super) struct Bounded(pub(super) Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > WRITTEN {
            return Err(io::Error::other("more than a template may write"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;

    use super::*;

    fn event() -> Value {
        Value::from(Serde(serde_json::json!({
            "body": {
                "id": 7, "amount": 1250, "name": "Ada <a@example.com>", "none": null,
                "items": [{ "n": "a" }, { "n": "b" }],
            },
        })))
    }

    #[track_caller]
    fn check(source: &str, expect: &str) {
        assert_eq!(Text::parse(source).unwrap().render(&event()).as_deref(), Ok(expect));
    }

    #[test]
    fn what_a_message_needs_can_be_said() {
        check("{{ body.amount / 100 }} for {{ body.name }}", "12.5 for Ada <a@example.com>");
        check("{{ (body.amount / 100) | fixed(2) }}", "12.50");
        check("{% for item in body.items %}{{ item.n }};{% endfor %}", "a;b;");
        check("{% if body.id == 7 %}seven{% else %}other{% endif %}", "seven");
        check("{{ body.unknown | default('-') }}", "-");
        check("{{ 'big' if body.amount > 1000 else 'small' }}", "big");
        check("{{ body.name | escape }}", "Ada &lt;a@example.com&gt;");
        check("{{ body.items[0] }} {{ body.none }}", r#"{"n":"a"} null"#);
        check("{{ body.items | tojson }}", r#"[{"n":"a"},{"n":"b"}]"#);
        check("{{ body.name | upper | truncate(3) }}", "ADA");
        check("{{ 'https://a.example:443/b?c' | origin }}", "https://a.example");
        check("{{ 'http://a.example:8080' | origin }}", "http://a.example:8080");
    }

    #[test]
    fn texts_and_what_stands_outside_are_no_code() {
        check("a | b, range(1) is odd", "a | b, range(1) is odd");
        check("{{ '}} | x(' }} {{ \"{% set '\\\" %}\" }}", "}} | x( {% set '\" %}");
        check("{{ body.unknown is defined }} {{ (1) if (body.none is none) else (2) }}", "false 1");
    }

    #[test]
    fn what_is_missing_is_a_mistake() {
        let check = |source: &str| {
            let made = Text::parse(source).unwrap().render(&event());
            assert!(matches!(made, Err(Mistake::Missing(_))), "{source}: {made:?}");
        };
        check("{{ body.unknown }}");
        check("{{ body.unknown.deeper }}");
        check("{{ other }}");
        check("{% for item in body.unknown %}x{% endfor %}");
    }

    #[test]
    fn what_is_no_template_is_refused_when_it_is_read() {
        let check = |source: &str, expect: &str| {
            let mistake = Text::parse(source).unwrap_err().to_string();
            assert!(mistake.contains(expect), "{source}: {mistake}");
        };
        check("{{ body. }}", "unexpected");
        check("{{ body", "unexpected end");
        check("{% set x = 1 %}", "`set` is not known here");
        check("{%- include 'a' %}", "`include` is not known here");
        check("{{ body | unknown }}", "`unknown` is not known here");
        check("{{ body | lower | (", "`` is not known here");
        check("{{ range(10) }}", "`range` is not known here");
        check("{{ body.items() }}", "`items` is not known here");
        check("{{ 1 if body is odd }}", "`odd` is not known here");
        check(&"x".repeat(LENGTH + 1), "at most 16384 bytes");
        check(&"{{ 'a' ~ 'b' }}".repeat(101), "at most 100 times");
    }

    #[test]
    fn an_expression_alone_keeps_its_type() {
        let check = |source: &str, expect: serde_json::Value| {
            let value = Text::parse(source).unwrap().value(&event()).unwrap();
            assert_eq!(serde_json::to_value(&value).unwrap(), expect, "{source}");
        };
        check("{{ body.amount }}", 1250.into());
        check("{{- body.items[0] -}}", serde_json::json!({ "n": "a" }));
        check("{{ body.none }}", serde_json::Value::Null);
        check("{{ body.amount }} ", 1250.into());
        check("{{ body.amount }}{{ body.id }}", "12507".into());
        assert!(Text::parse("{{ body.unknown }}").unwrap().value(&event()).unwrap().is_undefined());
    }

    #[test]
    fn nothing_runs_for_ever_or_grows_without_end() {
        let check = |source: &str| {
            let made = Text::parse(source).unwrap().render(&event());
            assert!(matches!(made, Err(Mistake::Bounds | Mistake::Value(_))), "{source}: {made:?}");
        };
        check("{% for a in 'x' * 1000 %}{% for b in 'x' * 1000 %}{{ a }}{% endfor %}{% endfor %}");
        check("{{ 'x' * 90000000 }}");
        check("{{ ('x' * 1000000) | replace('x', 'y' * 1000000) }}");
        check("{{ ([1] * 100000000) | tojson }}");
        check("{{ ([1] * 100000000) | join(',') }}");
    }
}
