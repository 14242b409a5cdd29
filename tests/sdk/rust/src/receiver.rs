//! A receiver on loopback: reads one request per connection and hands it over, byte for byte.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Inbox, channel};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Delivery {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Answers with the given statuses in turn, and with 200 from then on.
pub struct Receiver {
    address: SocketAddr,
    arrived: Inbox<Delivery>,
}

impl Receiver {
    pub fn start(statuses: Vec<u16>) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (deliveries, arrived) = channel();
        thread::spawn(move || {
            let mut statuses = statuses.into_iter();
            for stream in listener.incoming().flatten() {
                // A connection that was opened and not used is none of our business.
                let Ok(Some(delivery)) = read(&stream) else { continue };
                let status = statuses.next().unwrap_or(200);
                let _ = answer(stream, status);
                if deliveries.send(delivery).is_err() {
                    return;
                }
            }
        });
        Ok(Self { address, arrived })
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next delivery, within 15 s.
    pub fn next(&self) -> Result<Delivery, Box<dyn Error>> {
        let delivery = self.arrived.recv_timeout(Duration::from_secs(15));
        delivery.map_err(|_| "nothing was delivered".into())
    }
}

fn read(stream: &TcpStream) -> Result<Option<Delivery>, Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = HeaderMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let name = HeaderName::from_bytes(name.as_bytes())?;
        headers.append(name, HeaderValue::from_str(value.trim())?);
    }
    let length = headers.get("content-length").ok_or("no content-length")?.to_str()?.parse()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Delivery { headers, body }))
}

fn answer(mut stream: TcpStream, status: u16) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
