//! The keyboard, read on a thread of its own: a terminal can only be waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui_crossterm::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read as next,
};
use tokio::sync::mpsc;

use super::state::Key;

/// How long it may take until the end is noticed.
const GLANCE: Duration = Duration::from_millis(100);

/// Reads until it is over, or nobody wants to know.
pub(super) fn read(keys: &mpsc::Sender<Key>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let event = match poll(GLANCE) {
            Ok(false) => continue,
            Ok(true) => next(),
            Err(error) => Err(error),
        };
        let key = match event {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => meaning(key),
            Ok(Event::Resize(..)) => Some(Key::Resized),
            Ok(_) => None,
            Err(_) => return,
        };
        if key.is_some_and(|key| keys.blocking_send(key).is_err()) {
            return;
        }
    }
}

fn meaning(key: KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => Some(Key::Interrupt),
            KeyCode::Char('b') => Some(Key::PageUp),
            KeyCode::Char('f') => Some(Key::PageDown),
            _ => None,
        };
    }
    match key.code {
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home => Some(Key::Home),
        KeyCode::End => Some(Key::End),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Char(one) => Some(Key::Char(one)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_something() {
        let plain = |code| meaning(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |one| meaning(KeyEvent::new(KeyCode::Char(one), KeyModifiers::CONTROL));
        assert_eq!(plain(KeyCode::Char('q')), Some(Key::Char('q')));
        assert_eq!(plain(KeyCode::PageUp), Some(Key::PageUp));
        assert_eq!(plain(KeyCode::F(1)), None);
        assert_eq!(control('c'), Some(Key::Interrupt));
        assert_eq!(control('x'), None);
    }
}
