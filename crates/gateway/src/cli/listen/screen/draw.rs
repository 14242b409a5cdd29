//! The screen's picture of its state. Everything has its place at 80 columns; what is wider is cut,
//! what is less is left out from the right.

use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::terminal::Frame;
use ratatui_core::text::{Line, Span};
use ratatui_widgets::paragraph::Paragraph;
use tokio::time::Instant;

use super::super::line::{mark, plain, time};
use super::super::status::{Connection, Status};
use super::details;
use super::state::{Item, State, View};
use crate::cli::span;

/// The keys, as `?` explains them.
const HELP: &[(&str, &str)] = &[
    ("↑ ↓  j k", "move; at the end the list follows what arrives"),
    ("PgUp PgDn", "a page"),
    ("Home End  g G", "the oldest, the newest"),
    ("Enter  d", "details, and back"),
    ("r", "send it to localhost again"),
    ("c", "copy it as a curl command"),
    ("/", "show only what has a text in type, source, id or body"),
    ("p", "pause handing over: events wait at the server; and go on"),
    ("Esc", "back; in the list, no filter"),
    ("q  Ctrl-C", "quit: what is not dealt with comes next time"),
];

/// How things are set off.
struct Theme {
    is_coloured: bool,
}

impl Theme {
    fn of(&self, colour: Color) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(&self) -> Style {
        self.of(Color::Green)
    }

    fn bad(&self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn warning(&self) -> Style {
        self.of(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn accent(&self) -> Style {
        self.of(Color::Cyan)
    }

    fn faint(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn bold(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// Draws all of it.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    state: &mut State,
    status: &Status,
    now: Instant,
    is_coloured: bool,
) {
    let theme = Theme { is_coloured };
    let areas = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [title, route, rule, middle, said, keys] = Layout::vertical(areas).areas(frame.area());
    // One column stays free on both sides.
    let inner = |area: Rect| Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    sides(frame, inner(title), name(state, &theme), connection(state, status, now, &theme));
    let to = format!("{}  {}", plain(&state.head.server), plain(&state.head.takes));
    put(frame, inner(route), Line::styled(to, theme.faint()));
    put(frame, rule, Line::styled("─".repeat(usize::from(rule.width)), theme.faint()));
    state.rows = usize::from(middle.height);
    match state.view.clone() {
        View::List => list(frame, middle, state, &theme),
        View::Details => details_of(frame, inner(middle), state, &theme),
        View::Copied(line) => {
            let heading = "Copied, if this terminal lets programs copy; else select it here:";
            let page = std::iter::once(Line::styled(heading, theme.faint()))
                .chain([Line::raw("")])
                .chain(line.lines().map(|line| Line::raw(plain(line))))
                .collect();
            scrolled(frame, inner(middle), state, page);
        }
        View::Help => {
            let row = |(keys, what): &(&'static str, &'static str)| {
                Line::from(vec![
                    Span::styled(format!("{keys:<14}"), theme.accent()),
                    (*what).into(),
                ])
            };
            scrolled(frame, inner(middle), state, HELP.iter().map(row).collect());
        }
    }
    put(frame, inner(said), last_word(state, status, &theme));
    put(frame, inner(keys), bottom(state, &theme, inner(keys).width));
}

fn put(frame: &mut Frame<'_>, area: Rect, line: Line<'_>) {
    frame.render_widget(Paragraph::new(line), area);
}

/// One line at the left, one at the right, which is the more important one.
fn sides(frame: &mut Frame<'_>, area: Rect, left: Line<'_>, right: Line<'_>) {
    let width = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);
    let areas = [Constraint::Min(0), Constraint::Length(width)];
    let [at_left, at_right] = Layout::horizontal(areas).spacing(1).areas(area);
    put(frame, at_left, left);
    put(frame, at_right, right);
}

fn name(state: &State, theme: &Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled("ringback listen", theme.bold()),
        Span::raw("  "),
        Span::styled(plain(&state.head.name), theme.accent()),
    ])
}

fn connection(state: &State, status: &Status, now: Instant, theme: &Theme) -> Line<'static> {
    let mut spans = Vec::new();
    if state.is_paused {
        spans.push(Span::styled("paused  ", theme.warning()));
    }
    match &status.connection {
        Connection::Opening => spans.push(Span::styled("connecting", theme.warning())),
        Connection::Lost(since, _) => {
            let away = span::shown(now - *since);
            spans.push(Span::styled(format!("connection lost for {away}"), theme.bad()));
        }
        Connection::Open => {
            let behind = &status.behind;
            let more = if behind.is_exact { "" } else { "+" };
            let backlog = match behind.count {
                0 => String::new(),
                count => format!("{count}{more} behind  "),
            };
            spans.push(Span::styled(backlog, theme.warning()));
            spans.push(Span::styled("● connected", theme.good()));
        }
    }
    Line::from(spans)
}

/// What is wrong, else what was said last.
fn last_word(state: &State, status: &Status, theme: &Theme) -> Line<'static> {
    if let Connection::Lost(_, why) = &status.connection {
        return Line::styled(format!("{}; trying again", plain(why)), theme.bad());
    }
    if let Some(why) = &status.waits {
        return Line::styled(
            format!("nobody takes events: {}; trying again", plain(why)),
            theme.bad(),
        );
    }
    Line::styled(plain(&state.said), theme.faint())
}

fn bottom(state: &State, theme: &Theme, width: u16) -> Line<'static> {
    if state.is_typing {
        return Line::from(vec![
            Span::styled("/", theme.accent()),
            Span::raw(plain(&state.filter)),
            Span::styled("▏", theme.accent()),
        ]);
    }
    let pause = if state.is_paused { "go on" } else { "pause" };
    let all: &[(&str, &str)] = match state.view {
        View::List => &[
            ("?", "help"),
            ("q", "quit"),
            ("d", "details"),
            ("r", "resend"),
            ("c", "curl"),
            ("/", "filter"),
            ("p", pause),
        ],
        _ => &[("?", "help"), ("q", "back"), ("↑↓", "scroll"), ("r", "resend"), ("c", "curl")],
    };
    let mut spans = Vec::new();
    if !state.filter.is_empty() {
        spans.push(Span::styled(format!("/{}  ", plain(&state.filter)), theme.accent()));
    }
    let mut used: usize = spans.iter().map(Span::width).sum();
    for (key, what) in all {
        let entry = [
            Span::styled((*key).to_owned(), theme.bold()),
            Span::styled(format!(" {what}  "), theme.faint()),
        ];
        used += entry.iter().map(Span::width).sum::<usize>();
        // The last one needs no room behind it.
        if used > usize::from(width) + 2 {
            break;
        }
        spans.extend(entry);
    }
    Line::from(spans)
}

fn list(frame: &mut Frame<'_>, area: Rect, state: &State, theme: &Theme) {
    let shown = state.shown();
    if shown.is_empty() {
        let what = match state.filter.is_empty() {
            true => "Waiting for events.",
            false => "Nothing has this text. Esc shows everything.",
        };
        let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        return put(frame, area, Line::styled(what, theme.faint()));
    }
    let (rows, place) = (usize::from(area.height), state.place(&shown));
    // The cursor stays in the middle until an end is near.
    let first = match state.follows() {
        true => shown.len().saturating_sub(rows),
        false => place.saturating_sub(rows / 2).min(shown.len().saturating_sub(rows)),
    };
    let lines = shown.iter().enumerate().skip(first).take(rows).map(|(index, item)| {
        let line = row(item, theme, usize::from(area.width));
        if index == place {
            line.style(Style::new().add_modifier(Modifier::REVERSED))
        } else {
            line
        }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// `09:30:01 ✓ GitHub      push                     200     12 ms`
fn row(item: &Item, theme: &Theme, width: usize) -> Line<'static> {
    /// Time, mark, result and the gaps between them.
    const FIXED: usize = 1 + 8 + 1 + 1 + 1 + 1 + 1 + 9;
    const TOOK: usize = 9;
    /// Where there is less room, type and result are what counts.
    const NARROW: usize = 60;
    let (ended, set_off) = match &item.outcome {
        None => ("…".to_owned(), theme.faint()),
        Some(outcome) if outcome.is_good() => (outcome.ended.shortly(), theme.good()),
        Some(outcome) => (outcome.ended.shortly(), theme.bad()),
    };
    let took = item.outcome.as_ref().map(|outcome| outcome.took.as_millis());
    let took = took.map(|millis| format!("{millis} ms")).unwrap_or_default();
    let again = if item.times > 1 { format!("×{} ", item.times) } else { String::new() };
    let is_narrow = width < NARROW;
    let room = width.saturating_sub(if is_narrow { FIXED } else { FIXED + TOOK });
    let from = if is_narrow { 0 } else { (room / 3).min(20) };
    let took = if is_narrow { String::new() } else { format!("{took:>TOOK$}") };
    let verdict = match item.event.verdict.as_str() {
        "verified" => theme.good(),
        "failed" => theme.bad(),
        _ => theme.faint(),
    };
    Line::from(vec![
        Span::styled(format!(" {} ", time(&item.event)), theme.faint()),
        Span::styled(mark(&item.event.verdict), verdict),
        Span::raw(" "),
        Span::raw(fitted(&plain(item.event.from()), from)),
        Span::raw(" "),
        Span::styled(fitted(&plain(item.event.kind()), room - from), theme.bold()),
        Span::styled(
            format!("{again}{:>1$}", plain(&ended), 9 - again.chars().count().min(9)),
            set_off,
        ),
        Span::styled(took, theme.faint()),
    ])
}

/// Exactly so many columns.
fn fitted(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let is_cut = Span::raw(text).width() > columns;
    let room = if is_cut { columns.saturating_sub(1) } else { columns };
    for one in text.chars() {
        let width = Span::raw(one.to_string()).width();
        if used + width > room {
            break;
        }
        used += width;
        out.push(one);
    }
    if is_cut && columns > 0 {
        out.push('…');
        used += 1;
    }
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

fn details_of(frame: &mut Frame<'_>, area: Rect, state: &mut State, theme: &Theme) {
    let Some(item) = state.current() else { return };
    let lines = details::page(item).into_iter().map(|line| match line {
        details::Line::Heading(text) => Line::styled(text, theme.bold()),
        details::Line::Header(name, value) => {
            Line::from(vec![Span::styled(format!("{name}: "), theme.accent()), value.into()])
        }
        details::Line::Text(text) => Line::raw(text),
        details::Line::Good(text) => Line::styled(text, theme.good().add_modifier(Modifier::BOLD)),
        details::Line::Bad(text) => Line::styled(text, theme.bad()),
        details::Line::Faint(text) => Line::styled(text, theme.faint()),
    });
    let lines = lines.collect();
    scrolled(frame, area, state, lines);
}

/// A page with its lines broken at the edge; the scroll stops at its end.
fn scrolled(frame: &mut Frame<'_>, area: Rect, state: &mut State, page: Vec<Line<'static>>) {
    let width = usize::from(area.width).max(1);
    let broken: Vec<Line<'_>> = page.into_iter().flat_map(|line| broken(line, width)).collect();
    let last = broken.len().saturating_sub(usize::from(area.height));
    state.scroll = state.scroll.min(last);
    let visible = broken.into_iter().skip(state.scroll).take(usize::from(area.height));
    frame.render_widget(Paragraph::new(visible.collect::<Vec<_>>()), area);
}

/// The line in pieces of at most this many columns; each keeps its style.
fn broken(line: Line<'static>, width: usize) -> Vec<Line<'static>> {
    if line.width() <= width {
        return vec![line];
    }
    let style = line.style;
    let mut lines = vec![Line::default().style(style)];
    let mut used = 0;
    for span in line.spans {
        let mut piece = String::new();
        for one in span.content.chars() {
            let columns = Span::raw(one.to_string()).width();
            if used + columns > width {
                let text = std::mem::take(&mut piece);
                lines.extend_from_slice(&[Line::default().style(style)]);
                let full = lines.len() - 2;
                lines[full].push_span(Span::styled(text, span.style));
                used = 0;
            }
            used += columns;
            piece.push(one);
        }
        if let Some(last) = lines.last_mut() {
            last.push_span(Span::styled(piece, span.style));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui_core::backend::TestBackend;
    use ratatui_core::terminal::Terminal;

    use super::super::super::event::Event;
    use super::super::super::frame::Behind;
    use super::super::super::sample::event;
    use super::super::state::Key;
    use super::super::state::tests::{answered, state};
    use super::*;

    fn drawn(state: &mut State, status: &Status, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let now = Instant::now();
        terminal.draw(|frame| draw(frame, state, status, now, true)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let lines = cells.chunks(usize::from(width)).map(|row| row.concat().trim_end().to_owned());
        lines.collect()
    }

    fn open(count: u64) -> Status {
        let mut status = Status::new();
        let behind = Behind { count, is_exact: true, oldest_waiting: None };
        status.opened(behind, Instant::now());
        status
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_at_80_by_24() {
        let mut state = state(2);
        state.ended("msg_0", answered(200, "{}"));
        state.ended("msg_1", answered(500, "{}"));
        state.arrived(Arc::new(event("msg_2")));
        let lines = drawn(&mut state, &open(12), 80, 24);
        assert_eq!(
            lines[0],
            " ringback listen  ada.laptop                             12 behind  ● connected"
        );
        assert_eq!(lines[1], " https://hooks.example  forwarding to http://localhost:3000/hook");
        assert_eq!(
            lines[3],
            " 09:30:01 ✓ GitHub           push                                  200    12 ms"
        );
        assert!(lines[4].contains("500") && lines[5].contains('…'), "{lines:#?}");
        assert_eq!(lines[23], " ? help  q quit  d details  r resend  c curl  / filter  p pause");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_breaks_in_little_room_or_much() {
        let mut status = open(0);
        let mut state = state(300);
        let hostile = Event {
            source_name: "日本語のソース".to_owned(),
            event_type: Some("\u{1b}[2J👩‍💻very.long.".repeat(20)),
            ..event("msg_x")
        };
        state.arrived(Arc::new(hostile));
        for (width, height) in [(80, 24), (200, 50), (40, 10), (20, 6), (5, 3), (1, 1)] {
            for keys in
                [&[][..], &[Key::Enter], &[Key::Char('c')], &[Key::Char('?')], &[Key::Char('/')]]
            {
                keys.iter().for_each(|key| drop(state.press(*key)));
                let lines = drawn(&mut state, &status, width, height);
                assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
                state.press(Key::Escape);
                state.press(Key::Escape);
            }
        }
        status.lost("the network is unreachable".to_owned(), Instant::now());
        let lines = drawn(&mut state, &status, 40, 10);
        assert!(lines[0].ends_with("connection lost for 0 ms"), "{lines:#?}");
        assert!(lines[8].contains("network is unreachable"), "{lines:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_is_at_the_bottom_and_the_cursor_in_sight() {
        let mut state = state(100);
        state.arrived(Arc::new(Event { event_type: Some("newest".to_owned()), ..event("msg_x") }));
        let lines = drawn(&mut state, &open(0), 80, 24);
        assert!(lines[21].contains("newest"), "{lines:#?}");
        state.press(Key::Home);
        state.press(Key::Enter);
        let lines = drawn(&mut state, &open(0), 80, 24);
        assert!(lines.iter().any(|line| line.contains("msg_0 ")), "{lines:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_scrolls_to_its_end_and_no_further() {
        let mut state = state(0);
        let body = format!("[{}]", (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        state.arrived(Arc::new(Event { body: body.into(), ..event("msg_1") }));
        state.ended("msg_1", answered(200, "the end"));
        state.press(Key::Enter);
        state.press(Key::End);
        let lines = drawn(&mut state, &open(0), 80, 24);
        assert_eq!(lines[21].trim(), "the end");
        state.press(Key::Up);
        let lines = drawn(&mut state, &open(0), 80, 24);
        assert!(lines[21].trim().is_empty(), "{lines:#?}");
        state.press(Key::Home);
        let lines = drawn(&mut state, &open(0), 80, 24);
        assert_eq!(lines[3], " push  ✓ verified");
    }

    #[test]
    fn long_lines_are_broken_at_the_edge() {
        let line = Line::from(vec![Span::raw("name: "), Span::raw("日本語x")]);
        let lines: Vec<String> = broken(line, 9).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["name: 日", "本語x"]);
        assert_eq!(
            (fitted("日本語", 4), fitted("ab", 4), fitted("ab", 0)),
            ("日… ".into(), "ab  ".into(), String::new())
        );
    }
}
