//! A name server small enough to lie as we please (RFC 1035, section 4).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

/// The question: a name in lower case, and whether for IPv6.
pub(super) struct Question {
    pub(super) name: String,
    pub(super) v6: bool,
    /// How often this was asked before.
    pub(super) nth: usize,
}

/// What is answered.
pub(super) enum Reply {
    /// These addresses of the family asked for, with a time to live of zero.
    Addresses(Vec<IpAddr>),
    /// Another name to ask for.
    Alias(&'static str),
    /// An error code: 2 is a failure, 3 an unknown name.
    Error(u8),
    /// Nothing at all.
    Silence,
}

/// How often each name was asked for, of either family.
type Counts = Arc<Mutex<HashMap<(String, bool), usize>>>;

/// A running name server; it stops when this is dropped.
///
/// Names that begin with `long-` are answered over TCP alone, as answers too long for a datagram
/// are.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    asked: Counts,
    _serving: JoinSet<()>,
}

impl NameServer {
    pub(super) async fn start(
        answer: impl Fn(&Question) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let (listener, socket) = same_port().await;
        let address = socket.local_addr().unwrap();
        let asked = Counts::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve_datagrams(socket, Arc::clone(&asked), answer.clone()));
        serving.spawn(serve_streams(listener, Arc::clone(&asked), answer));
        Self { address, asked, _serving: serving }
    }

    /// How many questions were asked about this name.
    pub(super) fn asked(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        [false, true].iter().filter_map(|v6| asked.get(&(name.to_owned(), *v6))).sum()
    }
}

/// Both sockets on one port; that of the first may be taken for the second.
async fn same_port() -> (TcpListener, UdpSocket) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            return (listener, socket);
        }
    }
}

async fn serve_datagrams(socket: UdpSocket, asked: Counts, answer: impl Fn(&Question) -> Reply) {
    let mut packet = [0; 4096];
    loop {
        let (length, peer) = socket.recv_from(&mut packet).await.unwrap();
        let reply = match packet[13..length].starts_with(b"long-") {
            true => Some(truncated(&packet[..length])),
            false => reply(&packet[..length], &asked, &answer),
        };
        if let Some(reply) = reply {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

async fn serve_streams(
    listener: TcpListener,
    asked: Counts,
    answer: impl Fn(&Question) -> Reply + Clone + Send + Sync + 'static,
) {
    let mut serving = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (asked, answer) = (Arc::clone(&asked), answer.clone());
        serving.spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut packet = vec![0; usize::from(length)];
                stream.read_exact(&mut packet).await.unwrap();
                let reply = reply(&packet, &asked, &answer).unwrap();
                stream.write_u16(reply.len() as u16).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
    }
}

/// An empty answer that says that there is more than fits.
fn truncated(packet: &[u8]) -> Vec<u8> {
    let (_, after) = read_name(packet, 12);
    let mut reply = packet[..2].to_vec();
    reply.extend([0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    reply.extend(&packet[12..after + 4]);
    reply
}

fn reply(
    packet: &[u8],
    counts: &Mutex<HashMap<(String, bool), usize>>,
    answer: &impl Fn(&Question) -> Reply,
) -> Option<Vec<u8>> {
    let (name, after) = read_name(packet, 12);
    let v6 = packet[after..after + 2] == [0, 28];
    let question = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry((name.to_ascii_lowercase(), v6)).or_default();
        *count += 1;
        Question { name: name.to_ascii_lowercase(), v6, nth: *count - 1 }
    };
    let (code, records) = match answer(&question) {
        Reply::Silence => return None,
        Reply::Error(code) => (code, Vec::new()),
        Reply::Alias(name) => (0, vec![record(5, &write_name(name))]),
        Reply::Addresses(addresses) => {
            (0, addresses.into_iter().filter_map(|ip| of(ip, v6)).collect())
        }
    };
    let mut reply = packet[..2].to_vec();
    // An answer with recursion available; one question, that many answers.
    reply.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(&packet[12..after + 4]);
    reply.extend(records.concat());
    Some(reply)
}

fn of(ip: IpAddr, v6: bool) -> Option<Vec<u8>> {
    match ip {
        IpAddr::V4(ip) if !v6 => Some(record(1, &ip.octets())),
        IpAddr::V6(ip) if v6 => Some(record(28, &ip.octets())),
        _ => None,
    }
}

/// A record about the name in the question, which a pointer to offset 12 stands for.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0];
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn read_name(packet: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while packet[at] != 0 {
        let end = at + 1 + usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 1)
}

fn write_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| {
        std::iter::once(label.len() as u8).chain(label.bytes()).collect::<Vec<_>>()
    });
    labels.chain([0]).collect()
}
