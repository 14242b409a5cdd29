//! Server-sent events, read from the pieces of a response.

/// One of a stream of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerSentEvent {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) data: String,
}

/// What has been read of a stream.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The beginning of a line.
    rest: Vec<u8>,
    next: ServerSentEvent,
    has_data: bool,
}

impl Parser {
    /// The events that end in the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Vec<ServerSentEvent> {
        let mut events = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                events.extend(
                    self.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])),
                );
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<ServerSentEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.next);
            // Without data it is none: a comment, or an id alone.
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (name, text) = line.split_once(':').unwrap_or((line, ""));
        let text = text.strip_prefix(' ').unwrap_or(text);
        match name {
            "id" => self.next.id = text.to_owned(),
            "event" => self.next.event = text.to_owned(),
            "data" => {
                if self.has_data {
                    self.next.data.push('\n');
                }
                self.has_data = true;
                self.next.data.push_str(text);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream = ": hello\n\nid: a\nevent: progress\ndata: 1\n\nid: only\n\n\
            event: item\r\ndata:{\ndata: \"maß\"}\r\nid: b\r\n\r\n";
        let event = |id: &str, event: &str, data: &str| ServerSentEvent {
            id: id.to_owned(),
            event: event.to_owned(),
            data: data.to_owned(),
        };
        let expect = [event("a", "progress", "1"), event("b", "item", "{\n\"maß\"}")];
        for size in 1..=stream.len() {
            let mut parser = Parser::default();
            let pieces = stream.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| parser.push(piece)).collect();
            assert_eq!(events, expect, "in pieces of {size}");
        }
    }
}
