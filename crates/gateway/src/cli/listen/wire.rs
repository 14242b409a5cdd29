//! WebSocket without a socket: bytes in, messages out, and back.
//!
//! Whoever owns the connection moves the bytes, so that a wait can be given up at any point and no
//! half of a frame is lost.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longest message: the longest body that a server may be told to take, and its head.
const LONGEST: usize = (64 + 4) * 1024 * 1024;

/// One connection's frames.
pub(super) struct Wire {
    socket: WebSocket<Pipe>,
}

#[derive(Default)]
struct Pipe {
    arrived: Vec<u8>,
    /// How much of it is read.
    read: usize,
    to_send: Vec<u8>,
}

impl Wire {
    pub(super) fn new(role: Role) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        Self { socket: WebSocket::from_raw_socket(Pipe::default(), role, Some(config)) }
    }

    /// Bytes that arrived.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.socket.get_mut().arrived.extend_from_slice(bytes);
    }

    /// The next message that is here as a whole. A ping is answered.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        match self.socket.read() {
            Ok(message) => self.flush().map(|()| Some(message)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.flush().map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn send(&mut self, message: Message) -> Result<(), Error> {
        self.socket.send(message)
    }

    /// Bytes that are to be sent; whoever sends some takes them away.
    pub(super) fn unsent(&mut self) -> &mut Vec<u8> {
        &mut self.socket.get_mut().to_send
    }

    fn flush(&mut self) -> Result<(), Error> {
        match self.socket.flush() {
            // There is a closing frame to send yet.
            Err(Error::ConnectionClosed) => Ok(()),
            other => other,
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.arrived[self.read..];
        if waiting.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = waiting.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&waiting[..taken]);
        self.read += taken;
        if self.read == self.arrived.len() {
            self.arrived.clear();
            self.read = 0;
        }
        Ok(taken)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_send.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves everything that one has to say to the other, in pieces of this size.
    fn carry(from: &mut Wire, to: &mut Wire, size: usize) -> Vec<Message> {
        let bytes = std::mem::take(from.unsent());
        let mut heard = Vec::new();
        for piece in bytes.chunks(size) {
            to.feed(piece);
            while let Some(message) = to.next().unwrap() {
                heard.push(message);
            }
        }
        heard
    }

    #[test]
    fn messages_arrive_whole_however_the_bytes_come() {
        for size in [1, 2, 7, 4096] {
            let (mut client, mut server) = (Wire::new(Role::Client), Wire::new(Role::Server));
            server.send(Message::text("{}")).unwrap();
            server.send(Message::binary(vec![0xff; 300])).unwrap();
            server.send(Message::Ping(b"?"[..].into())).unwrap();
            let heard = carry(&mut server, &mut client, size);
            assert_eq!(heard.len(), 3);
            assert_eq!(heard[1], Message::binary(vec![0xff; 300]));
            let answered = carry(&mut client, &mut server, size);
            assert_eq!(answered, [Message::Pong(b"?"[..].into())]);
            client.send(Message::text("ack")).unwrap();
            assert_eq!(carry(&mut client, &mut server, size), [Message::text("ack")]);
        }
    }
}
