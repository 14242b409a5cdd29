//! How the connection is, and how far behind: what the screen's head and the lines say of it.

use tokio::time::Instant;

use super::frame::Behind;
use crate::cli::span;

/// As it is at the moment.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) connection: Connection,
    pub(super) behind: Behind,
    /// Whether a connection was ever lost.
    pub(super) was_lost: bool,
    /// Why nobody takes events here, while it is so.
    pub(super) waits: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Connection {
    /// The first one is being made.
    Opening,
    Open,
    /// Since when, and what the last try said.
    Lost(Instant, String),
}

impl Status {
    pub(super) fn new() -> Self {
        let (connection, behind) = (Connection::Opening, Behind::default());
        Self { connection, behind, was_lost: false, waits: None }
    }

    /// The connection is there; what there is to say about it, if it was lost before.
    pub(super) fn opened(&mut self, behind: Behind, now: Instant) -> Option<String> {
        self.behind = behind;
        let before = std::mem::replace(&mut self.connection, Connection::Open);
        let Connection::Lost(since, _) = before else { return None };
        let away = span::shown(now - since);
        Some(format!("connected again after {away}: {}", self.backlog()))
    }

    /// The connection is lost; what there is to say about it, once for each loss.
    pub(super) fn lost(&mut self, why: String, now: Instant) -> Option<String> {
        self.was_lost = true;
        if let Connection::Lost(_, last) = &mut self.connection {
            *last = why;
            return None;
        }
        let told = format!("connection lost: {why}; trying again until it is back");
        self.connection = Connection::Lost(now, why);
        Some(told)
    }

    /// How far behind, anew; what there is to say about it when nothing waits any more.
    pub(super) fn behind(&mut self, behind: Behind) -> Option<&'static str> {
        let before = std::mem::replace(&mut self.behind, behind);
        (before.count > 0 && self.behind.count == 0).then_some("caught up")
    }

    /// `nothing waits`, `12 events behind, the oldest of 2026-…`
    pub(super) fn backlog(&self) -> String {
        let Behind { count, is_exact, oldest_waiting } = &self.behind;
        let number = match (count, is_exact) {
            (0, _) => return "nothing waits".to_owned(),
            (1, true) => "1 event behind".to_owned(),
            (_, true) => format!("{count} events behind"),
            (_, false) => format!("more than {count} events behind"),
        };
        match oldest_waiting.as_deref().and_then(|time| time.get(..19)) {
            Some(time) => format!("{number}, the oldest of {}", time.replace('T', " ")),
            None => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn behind(count: u64) -> Behind {
        Behind { count, is_exact: true, oldest_waiting: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_and_so_is_its_end() {
        let now = Instant::now();
        let mut status = Status::new();
        assert_eq!(status.opened(behind(0), now), None);
        let told = status.lost("nobody answers".to_owned(), now).unwrap();
        assert!(told.starts_with("connection lost: nobody answers"), "{told}");
        assert_eq!(status.lost("refused".to_owned(), now), None);
        let later = now + Duration::from_secs(72);
        let oldest_waiting = Some("2026-11-21T09:30:00.000Z".to_owned());
        let back = status.opened(Behind { oldest_waiting, ..behind(300) }, later).unwrap();
        assert_eq!(
            back,
            "connected again after 1 min 12 s: 300 events behind, the oldest of 2026-11-21 09:30:00"
        );
        assert_eq!(status.behind(behind(20)), None);
        assert_eq!(status.behind(behind(0)), Some("caught up"));
        assert_eq!(status.behind(behind(0)), None);
        let many = Behind { is_exact: false, ..behind(1000) };
        status.behind(many);
        assert_eq!(status.backlog(), "more than 1000 events behind");
    }
}
