//! The interactive screen: the terminal is taken over, drawn on, and given back on every way out.

mod details;
mod draw;
mod keys;
mod state;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::Show;
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::face::Wish;
use super::status::Status;
use state::{Effect, Head, Key, State};

/// A terminal that is ours.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    state: State,
    keys: mpsc::Receiver<Key>,
    /// What reads the keyboard; it looks at `is_over` every now and then.
    reader: JoinSet<()>,
    is_over: Arc<AtomicBool>,
    is_closed: bool,
    is_coloured: bool,
    /// What the drawn screen shows of the passing time, in seconds.
    drawn_at: Option<Instant>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open(head: Head) -> io::Result<Self> {
        let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        restore_on_panic();
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let (sender, keys) = mpsc::channel(64);
        let is_over = Arc::new(AtomicBool::new(false));
        let mut reader = JoinSet::new();
        let over = Arc::clone(&is_over);
        reader.spawn_blocking(move || keys::read(&sender, &over));
        let (state, is_closed, drawn_at) = (State::new(head), false, None);
        Ok(Self { terminal, state, keys, reader, is_over, is_closed, is_coloured, drawn_at })
    }

    pub(super) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// The next wish of whoever sits here. What only concerns the screen is done on the way.
    pub(super) async fn wish(&mut self) -> Wish {
        loop {
            // Without a keyboard there is nobody to go on for.
            let Some(key) = self.keys.recv().await else { return Wish::Quit };
            match self.state.press(key) {
                Effect::None => {}
                Effect::Wish(wish) => return wish,
                Effect::Copy(text) => copy(&text),
            }
        }
    }

    /// Draws what has changed since it was drawn last.
    pub(super) fn draw(&mut self, status: &Status) -> io::Result<()> {
        let now = Instant::now();
        let is_old = self.drawn_at.is_none_or(|at| now - at >= std::time::Duration::from_secs(1));
        if !self.state.take_changed() && !is_old {
            return Ok(());
        }
        self.drawn_at = Some(now);
        let (state, is_coloured) = (&mut self.state, self.is_coloured);
        self.terminal.draw(|frame| draw::draw(frame, state, status, now, is_coloured))?;
        Ok(())
    }

    /// Gives the terminal back; once is enough.
    pub(super) fn close(&mut self) {
        if !self.is_closed {
            self.is_closed = true;
            self.is_over.store(true, Ordering::Relaxed);
            self.reader.abort_all();
            restore();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

fn restore() {
    // Whoever has no terminal any more has none to give back.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// Who panics is read on a terminal as it was.
fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

/// Asks the terminal to put text into its clipboard (xterm's OSC 52). Many do; none says so.
fn copy(text: &str) {
    let text = data_encoding::BASE64.encode(text.as_bytes());
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "\x1b]52;c;{text}\x07");
    let _ = stdout.flush();
}

pub(super) use state::Head as ScreenHead;
