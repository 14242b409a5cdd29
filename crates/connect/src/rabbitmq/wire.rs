//! What a publisher needs of AMQP 0-9-1: frames, and the arguments of a few methods
//! (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>; class and method numbers as in
//! <https://www.rabbitmq.com/amqp-0-9-1-reference.html>).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Refused;
use crate::dial::Link;

/// What a client says first.
pub(super) const PROTOCOL: &[u8; 8] = b"AMQP\0\0\x09\x01";

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;
/// Bytes of a frame besides what it carries.
const AROUND: usize = 8;

/// A method: its class, and its number there.
pub(super) type Method = (u16, u16);

pub(super) const START: Method = (10, 10);
pub(super) const START_OK: Method = (10, 11);
pub(super) const TUNE: Method = (10, 30);
pub(super) const TUNE_OK: Method = (10, 31);
pub(super) const OPEN: Method = (10, 40);
pub(super) const OPEN_OK: Method = (10, 41);
pub(super) const CLOSE: Method = (10, 50);
pub(super) const CHANNEL_OPEN: Method = (20, 10);
pub(super) const CHANNEL_OPEN_OK: Method = (20, 11);
pub(super) const CHANNEL_CLOSE: Method = (20, 40);
pub(super) const PUBLISH: Method = (60, 40);
pub(super) const RETURN: Method = (60, 50);
pub(super) const ACK: Method = (60, 80);
pub(super) const NACK: Method = (60, 120);
pub(super) const CONFIRM_SELECT: Method = (85, 10);
pub(super) const CONFIRM_SELECT_OK: Method = (85, 11);

/// The class of messages.
const BASIC: u16 = 60;

/// A short text has its length in one byte.
pub(super) const SHORT: usize = 255;

/// Arguments of a method, or properties of a message, one after the other.
#[derive(Default)]
pub(super) struct Arguments(Vec<u8>);

impl Arguments {
    pub(super) fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn number16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn number32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn number64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// At most [`SHORT`] bytes; callers have checked that.
    pub(super) fn short(mut self, text: &str) -> Self {
        let text = &text.as_bytes()[..text.len().min(SHORT)];
        self.0.push(text.len() as u8);
        self.0.extend(text);
        self
    }

    pub(super) fn long(self, bytes: &[u8]) -> Self {
        let mut longer = self.number32(bytes.len() as u32);
        longer.0.extend(bytes);
        longer
    }

    /// What a table or a frame holds.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn followed_by(mut self, other: Arguments) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// What was read, from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn number16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub(super) fn number32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(super) fn short(&mut self) -> Option<String> {
        let length = usize::from(*self.bytes(1)?.first()?);
        Some(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }
}

/// Sends a method alone.
pub(super) async fn send(
    link: &mut Link,
    channel: u16,
    method: Method,
    arguments: Arguments,
) -> Result<(), Refused> {
    let mut bytes = Vec::new();
    frame(&mut bytes, METHOD, channel, &called(method, arguments));
    link.write_all(&bytes).await?;
    link.flush().await?;
    Ok(())
}

/// Sends a message: the method, the properties, the body in frames of at most `largest` bytes.
pub(super) async fn publish(
    link: &mut Link,
    channel: u16,
    arguments: Arguments,
    properties: Arguments,
    body: &[u8],
    largest: usize,
) -> Result<(), Refused> {
    let mut bytes = Vec::with_capacity(body.len() + 1024);
    frame(&mut bytes, METHOD, channel, &called(PUBLISH, arguments));
    let header = Arguments::default().number16(BASIC).number16(0).number64(body.len() as u64);
    frame(&mut bytes, HEADER, channel, header.followed_by(properties).bytes());
    for piece in body.chunks(largest.saturating_sub(AROUND).max(1)) {
        frame(&mut bytes, BODY, channel, piece);
    }
    link.write_all(&bytes).await?;
    link.flush().await?;
    Ok(())
}

fn called((class, number): Method, arguments: Arguments) -> Vec<u8> {
    Arguments::default().number16(class).number16(number).followed_by(arguments).0
}

fn frame(bytes: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    let head = Arguments::default().byte(kind).number16(channel).long(payload);
    bytes.extend(head.bytes());
    bytes.push(FRAME_END);
}

/// The next method and its arguments. Heartbeats, and messages that come back, are passed over.
pub(super) async fn receive(link: &mut Link, largest: usize) -> Result<(Method, Vec<u8>), Refused> {
    let nonsense = || Refused::nonsense("the server does not speak AMQP 0-9-1");
    loop {
        let kind = link.read_u8().await?;
        let _channel = link.read_u16().await?;
        let length = link.read_u32().await? as usize;
        // `AMQP` and a version: what a server says that speaks another one.
        if kind > 8 || length > largest {
            return Err(nonsense());
        }
        let mut payload = vec![0; length];
        link.read_exact(&mut payload).await?;
        if link.read_u8().await? != FRAME_END {
            return Err(nonsense());
        }
        if kind == METHOD {
            let mut reader = Reader(&payload);
            let method = (reader.number16(), reader.number16());
            let (Some(class), Some(number)) = method else { return Err(nonsense()) };
            return Ok(((class, number), reader.0.to_vec()));
        }
    }
}
