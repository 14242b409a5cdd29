//! One event in one line: for people, or as JSON for programs.

use serde::Serialize;

use super::event::{Ended, Event, Headers, Outcome};
use crate::terminal::{Colours, printable};

/// Lines of a program's output that are shown.
const SHOWN: usize = 40;

/// `09:30:01 GitHub push ✓ → 200 12 ms`, with a program's output below it.
pub(super) fn compact(event: &Event, outcome: &Outcome, colours: Colours) -> String {
    let Colours { dim, good, bad, end, .. } = colours;
    let set_off = if outcome.is_good() { good } else { bad };
    let (from, kind) = (plain(event.from()), plain(event.kind()));
    let (mark, ended) = (mark(&event.verdict), plain(&outcome.ended.shortly()));
    let mut line = format!("{dim}{}{end}  {from:<12}  {kind:<28}  {mark}", time(event));
    if outcome.ended != Ended::Shown {
        let millis = outcome.took.as_millis();
        line.push_str(&format!("  → {set_off}{ended}{end}  {dim}{millis} ms{end}"));
    }
    if let Ended::Exited(exited) = &outcome.ended {
        let output = String::from_utf8_lossy(&exited.output);
        let mut lines = output.lines();
        for shown in lines.by_ref().take(SHOWN) {
            line.push_str(&format!("\n    {dim}│{end} {}", printable(shown)));
        }
        match lines.count() {
            0 => {}
            more => line.push_str(&format!("\n    {dim}│ … {more} more lines{end}")),
        }
    }
    line
}

/// Time of day, in UTC.
pub(super) fn time(event: &Event) -> String {
    plain(event.received_at.get(11..19).unwrap_or("--:--:--"))
}

/// What a source found out about who sent it.
pub(super) fn mark(verdict: &str) -> &'static str {
    match verdict {
        "verified" => "✓",
        "authenticated" => "~",
        "failed" => "✗",
        _ => "·",
    }
}

/// What comes from elsewhere cannot break a line or steer the terminal.
pub(super) fn plain(text: &str) -> String {
    printable(&text.replace(['\n', '\r', '\t'], " "))
}

/// The event with everything, and what became of it.
pub(super) fn json(event: &Event, outcome: &Outcome) -> String {
    let (body, body_base64) = content(&event.body);
    let told = Told { event, body, body_base64, outcome: ToldOutcome::new(outcome) };
    // What has only text as keys is always JSON.
    serde_json::to_string(&told).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    outcome: ToldOutcome<'a>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct ToldOutcome<'a> {
    /// `shown`, `answered`, `exited`, `givenUp`, `givenBack`
    result: &'static str,
    took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'a Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timed_out: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> ToldOutcome<'a> {
    fn new(outcome: &'a Outcome) -> Self {
        let took_ms = u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX);
        let base = Self { took_ms, ..Self::default() };
        match &outcome.ended {
            Ended::Shown => Self { result: "shown", ..base },
            Ended::Answered(answered) => {
                let (body, body_base64) = content(&answered.body);
                Self {
                    result: "answered",
                    status: Some(answered.status),
                    headers: Some(&answered.headers),
                    body,
                    body_base64,
                    truncated: Some(answered.is_truncated),
                    ..base
                }
            }
            Ended::Exited(exited) => Self {
                result: "exited",
                exit_code: exited.code,
                timed_out: Some(exited.is_timed_out),
                output: Some(String::from_utf8_lossy(&exited.output).into_owned()),
                ..base
            },
            Ended::GivenUp(reason) => Self { result: "givenUp", reason: Some(reason), ..base },
            Ended::GivenBack(reason) => Self { result: "givenBack", reason: Some(reason), ..base },
        }
    }
}

/// Text as it is, anything else in base64.
pub(super) fn content(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(data_encoding::BASE64.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::event::{Answered, Exited};
    use super::super::sample::event;
    use super::*;

    fn answered(status: u16) -> Outcome {
        let (headers, body) = (Vec::new(), b"\xff".as_slice().into());
        let ended = Ended::Answered(Answered { status, headers, body, is_truncated: false });
        Outcome { ended, took: Duration::from_millis(12) }
    }

    #[test]
    fn an_event_takes_one_line_and_cannot_steer_the_terminal() {
        let line = compact(&event("msg_1"), &answered(200), Colours::default());
        assert_eq!(line, "09:30:01  GitHub        push                          ✓  → 200  12 ms");
        let hostile = Event {
            event_type: Some("a\nb\x1b[2J".to_owned()),
            source_name: "\r".to_owned(),
            verdict: "failed".to_owned(),
            received_at: "é".to_owned(),
            ..event("msg_1")
        };
        let line = compact(&hostile, &answered(500), Colours::default());
        assert!(!line.contains(['\n', '\r', '\x1b']) && line.contains('✗'), "{line}");
        let shown = Outcome { ended: Ended::Shown, took: Duration::ZERO };
        assert!(compact(&event("msg_1"), &shown, Colours::default()).ends_with('✓'));
    }

    #[test]
    fn the_output_of_a_program_is_set_below() {
        let output = "a\x1b[31m\nb\n".repeat(30).into();
        let exited = Exited { code: Some(1), is_timed_out: false, output };
        let outcome = Outcome { ended: Ended::Exited(exited), took: Duration::ZERO };
        let text = compact(&event("msg_1"), &outcome, Colours::default());
        assert!(text.contains("→ exit 1") && text.contains("│ … 20 more lines"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn json_has_everything() {
        let event = Event { body: b"\xff\x00".as_slice().into(), ..event("msg_1") };
        let told: Value = serde_json::from_str(&json(&event, &answered(500))).unwrap();
        let expected = json!({
            "id": "msg_1", "source": "src_made_up", "sourceName": "GitHub", "provider": "github",
            "eventType": "push", "eventId": null, "verdict": "verified", "method": "POST",
            "target": "", "headers": [["content-type", "application/json"]],
            "receivedAt": "2026-11-21T09:30:01.250Z", "bodyBase64": "/wA=",
            "outcome": {
                "result": "answered", "tookMs": 12, "status": 500, "headers": [],
                "bodyBase64": "/w==", "truncated": false,
            },
        });
        assert_eq!(told, expected);
    }
}
