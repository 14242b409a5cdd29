//! Everything about one event, as lines.

use super::super::event::{Ended, Headers, Outcome};
use super::super::line::{mark, plain};
use super::state::Item;
use crate::terminal::printable;

/// Bytes of a body that are shown.
const SHOWN: usize = 64 * 1024;

/// A line, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    Heading(String),
    Header(String, String),
    Text(String),
    Good(String),
    Bad(String),
    Faint(String),
}

/// The page of an event.
pub(super) fn page(item: &Item) -> Vec<Line> {
    let event = &item.event;
    let proof = match event.verdict.as_str() {
        "" => String::new(),
        verdict => format!("  {} {}", mark(verdict), plain(verdict)),
    };
    let target = plain(&format!("{} {}", event.method, event.target));
    let mut page = vec![
        Line::Heading(format!("{}{proof}", plain(event.kind()))),
        Line::Faint(plain(&format!("{}  {}  {}", event.id, event.from(), event.received_at))),
        Line::Text(String::new()),
        Line::Heading(format!("Request  {}", target.trim_end())),
    ];
    headers(&mut page, &event.headers);
    body(&mut page, &event.body, false);
    page.push(Line::Text(String::new()));
    match &item.outcome {
        None => page.push(Line::Faint("not handed over yet".to_owned())),
        Some(outcome) => ended(&mut page, outcome, item.times),
    }
    page
}

fn ended(page: &mut Vec<Line>, outcome: &Outcome, times: u32) {
    let set_off = if outcome.is_good() { Line::Good } else { Line::Bad };
    let times = if times > 1 { format!("  ({times} times)") } else { String::new() };
    let (ended, millis) = (plain(&outcome.ended.shortly()), outcome.took.as_millis());
    match &outcome.ended {
        Ended::Shown => page.push(Line::Faint("only shown: nobody takes events".to_owned())),
        Ended::Answered(answered) => {
            page.push(set_off(format!("Response  {ended}  {millis} ms{times}")));
            headers(page, &answered.headers);
            body(page, &answered.body, answered.is_truncated);
        }
        Ended::Exited(exited) => {
            page.push(set_off(format!("Program  {ended}  {millis} ms{times}")));
            body(page, &exited.output, false);
        }
        Ended::GivenUp(_) | Ended::GivenBack(_) => {
            page.push(set_off(format!("{ended}  {millis} ms{times}")));
        }
    }
}

fn headers(page: &mut Vec<Line>, headers: &Headers) {
    page.extend(headers.iter().map(|(name, value)| Line::Header(plain(name), plain(value))));
}

/// JSON is laid out; what is no text is said to be none.
fn body(page: &mut Vec<Line>, bytes: &[u8], is_truncated: bool) {
    page.push(Line::Text(String::new()));
    if bytes.is_empty() {
        return page.push(Line::Faint("no body".to_owned()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return page.push(Line::Faint(format!("{} bytes that are not text", bytes.len())));
    };
    // Bodies that are too long to be shown are not read for their form, either.
    let json = (bytes.len() <= SHOWN).then(|| serde_json::from_str::<Ordered<'_>>(text).ok());
    let laid_out = json.flatten().and_then(|_| laid_out(text));
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = laid_out.unwrap_or_else(|| text[..end].to_owned());
    page.extend(text.lines().map(|line| Line::Text(printable(&line.replace('\t', "    ")))));
    if is_truncated || end < bytes.len() {
        page.push(Line::Faint("… and more".to_owned()));
    }
}

/// JSON whose members keep their order and numbers their spelling.
type Ordered<'a> = &'a serde_json::value::RawValue;

/// The same JSON with a line for each member. Only white space differs: what a signature was made
/// over can still be recognised.
fn laid_out(json: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut rest = json.trim().chars().peekable();
    while let Some(one) = rest.next() {
        if in_string {
            out.push(one);
            in_string = escaped || one != '"';
            escaped = !escaped && one == '\\';
            continue;
        }
        match one {
            '"' => {
                in_string = true;
                out.push(one);
            }
            '{' | '[' => {
                out.push(one);
                while rest.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    rest.next();
                }
                if matches!(rest.peek(), Some('}' | ']')) {
                    out.extend(rest.next());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                new_line(&mut out, depth);
                out.push(one);
            }
            ',' => {
                out.push(one);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    Some(out)
}

fn new_line(out: &mut String, depth: usize) {
    /// Deeper than this nobody reads.
    const DEEPEST: usize = 40;
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{answered, state};
    use super::*;

    #[test]
    fn json_is_laid_out_and_nothing_else_of_it_changes() {
        let json = r#"{"b":1.50,"a":[{}, [] ,"x, {y}\"",null]}"#;
        let expected = "{\n  \"b\": 1.50,\n  \"a\": [\n    {},\n    [],\n    \"x, {y}\\\"\",\n    null\n  ]\n}";
        assert_eq!(laid_out(json).unwrap(), expected);
    }

    #[test]
    fn a_page_has_request_and_response() {
        let mut state = state(1);
        state.ended("msg_0", answered(500, "{\"error\":\"\\u001b\"}"));
        let page = page(state.current().unwrap());
        assert_eq!(page[0], Line::Heading("push  ✓ verified".to_owned()));
        assert!(page.contains(&Line::Text("  \"a\": 1".to_owned())), "{page:?}");
        assert!(page.contains(&Line::Bad("Response  500  12 ms".to_owned())), "{page:?}");
        assert!(page.contains(&Line::Text("  \"error\": \"\\u001b\"".to_owned())), "{page:?}");
    }
}
