//! What `ringback dev` shows: laid out for people, coloured where there is a terminal.

use std::fmt::Write as _;
use std::io::Write as _;

use super::receiver::{ANSWER, Received};
use super::{APPLICATION, EVENT_TYPE, Server, Shown, reachable};
use crate::terminal::{Colours, printable};

/// Characters of a body shown for all but the first event.
const EXCERPT: usize = 100;

/// The standard output.
pub(super) struct Screen {
    colours: Colours,
}

impl Screen {
    pub(super) fn new(colours: Colours) -> Self {
        Self { colours }
    }

    /// The sample event as it arrived.
    pub(super) fn delivered(&self, shown: &Shown<'_>) {
        put(&delivered(shown, self.colours));
    }

    /// Something that went wrong, in one line.
    pub(super) fn problem(&self, what: &str) {
        let Colours { bad, bold, end, .. } = self.colours;
        put(&format!("\n  {bad}{bold}✗{end} {}\n", printable(what)));
    }

    /// The token and what to try next.
    pub(super) fn next_steps(&self, server: &Server, message: Option<&str>) {
        put(&next_steps(server, message, self.colours));
    }

    /// The sample failed altogether.
    pub(super) fn failed(&self, server: &Server, what: &str) {
        self.problem(what);
        self.next_steps(server, None);
    }

    /// Any later request of the receiver, in one line.
    pub(super) fn another(&self, received: &Received, verified: bool) {
        put(&another(received, verified, self.colours));
    }
}

/// A closed output is no reason to stop serving.
fn put(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

fn delivered(shown: &Shown<'_>, colours: Colours) -> String {
    let Colours { bold, dim, good, bad, accent, end } = colours;
    let received = shown.received;
    let verdict = match &shown.verified {
        Ok(()) => format!("{good}✓ signature verified{end}"),
        Err(why) => format!("{bad}✗ signature not verified: {why}{end}"),
    };
    let mut out = format!(
        "\n  {good}●{end} {bold}Sample event delivered{end} in {}   {verdict}\n\n",
        milliseconds(shown.took)
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  {accent}→{end} {bold}{} {}{end} {dim}to {}{end}",
        received.head.method,
        printable(received.head.uri.path()),
        shown.url
    );
    let width = received.head.headers.keys().map(|name| name.as_str().len()).max().unwrap_or(0);
    for (name, value) in &received.head.headers {
        let value = printable(&String::from_utf8_lossy(value.as_bytes()));
        let set_off = if name.as_str().starts_with("webhook-") { accent } else { "" };
        let _ = writeln!(out, "    {dim}{:width$}{end}  {set_off}{value}{end}", name.as_str());
    }
    let body = String::from_utf8_lossy(&received.body);
    let _ = writeln!(out, "\n    {}\n", printable(&body));
    let _ = writeln!(
        out,
        "  {accent}←{end} {good}{bold}200 OK{end} {ANSWER} {dim}{}{end}",
        printable(shown.message)
    );
    out
}

fn next_steps(server: &Server, message: Option<&str>, colours: Colours) -> String {
    let Colours { bold, dim, accent, end, .. } = colours;
    let api = format!("http://{}", reachable(server.listen));
    let Server { token, .. } = server;
    let message = message.unwrap_or("MESSAGE_ID");
    format!(
        r#"
  {bold}API{end}    {api}
  {bold}Token{end}  {accent}{token}{end}

  {bold}Next, try{end}

  {bold}1{end}  {bold}Send an event of your own{end}

     curl {api}/api/v1/app/{APPLICATION}/msg \
       -H 'Authorization: Bearer {token}' \
       -H 'Content-Type: application/json' \
       -d '{{"eventType": "{EVENT_TYPE}", "payload": {{"invoice": "inv_1002"}}}}'

  {bold}2{end}  {bold}The same from Python{end}  {dim}pip install svix{end}

     from svix.api import MessageIn, Svix, SvixOptions
     svix = Svix("{token}", SvixOptions(server_url="{api}"))
     svix.message.create("{APPLICATION}", MessageIn(
         event_type="{EVENT_TYPE}", payload={{"invoice": "inv_1003"}}))

  {bold}3{end}  {bold}Ask why an event did or did not arrive{end}

     curl {api}/api/v1/app/{APPLICATION}/msg/{message}/explain \
       -H 'Authorization: Bearer {token}'

  {dim}What the built-in receiver gets appears below; Ctrl-C ends.{end}

"#
    )
}

fn another(received: &Received, verified: bool, colours: Colours) -> String {
    let Colours { dim, good, bad, accent, end, .. } = colours;
    let verdict = match verified {
        true => format!("{good}✓ verified{end}"),
        false => format!("{bad}✗ not verified{end}"),
    };
    let body = String::from_utf8_lossy(&received.body);
    let mut excerpt: String = body.chars().take(EXCERPT).collect();
    if excerpt.len() < body.len() {
        excerpt.push('…');
    }
    format!(
        "  {accent}→{end} {} {} {dim}{}{end} {verdict} {}\n",
        received.head.method,
        printable(received.head.uri.path()),
        printable(received.header("webhook-id")),
        printable(&excerpt)
    )
}

fn milliseconds(took: std::time::Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn received(body: &'static str) -> Received {
        let request = http::Request::post("/")
            .header("webhook-id", "msg_made_up")
            .header("content-type", "application/json");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Received {
            head,
            body: Bytes::from_static(body.as_bytes()),
            at: tokio::time::Instant::now(),
        }
    }

    #[test]
    fn an_event_is_shown_whole() {
        let received = received(r#"{"a":1}"#);
        let shown = Shown {
            message: "msg_made_up",
            url: "http://127.0.0.1:9/",
            received: &received,
            verified: Ok(()),
            took: Duration::from_micros(8_340),
        };
        let expected = r#"
  ● Sample event delivered in 8.3 ms   ✓ signature verified

  → POST / to http://127.0.0.1:9/
    webhook-id    msg_made_up
    content-type  application/json

    {"a":1}

  ← 200 OK {"received":true} msg_made_up
"#;
        assert_eq!(delivered(&shown, Colours::default()), expected);
    }

    #[test]
    fn later_events_take_one_line_and_cannot_steer_the_terminal() {
        fn check(body: &'static str, verified: bool, expected: &str) {
            assert_eq!(another(&received(body), verified, Colours::default()), expected);
        }
        check("{}", true, "  → POST / msg_made_up ✓ verified {}\n");
        check("\x1b[2J", false, "  → POST / msg_made_up ✗ not verified \\u{1b}[2J\n");
    }

    #[test]
    fn what_to_try_names_the_address_the_token_and_the_message() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8071));
        let server = Server { listen, token: "made-up-0123456789".to_owned() };
        let text = next_steps(&server, Some("msg_made_up"), Colours::default());
        assert!(text.contains("http://127.0.0.1:8071/api/v1/app/sample/msg/msg_made_up/explain"));
        assert_eq!(text.matches("made-up-0123456789").count(), 4);
        assert!(!text.contains('\x1b'));
    }
}
