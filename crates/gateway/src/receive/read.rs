//! Reading a body: small ones in memory, large ones on the disk while they arrive.
//!
//! Providers may send 25 MB and take their time. Whoever holds a connection open with half a body
//! must not hold its memory, so what is beyond the first part is spooled to a file without a name;
//! it is read back when it is whole.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

/// What a body may have in memory while it arrives.
const IN_MEMORY: usize = 256 * 1024;

/// Why there is no body.
pub(super) enum Unread {
    /// It is larger than the limit; at least this many bytes.
    TooLarge { at_least: u64 },
    /// It took too long.
    Slow,
    /// The connection broke, or its framing is wrong.
    Broken,
    /// The disk could not take it.
    Spool(std::io::Error),
}

/// The whole body.
pub(super) async fn body<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    patience: Duration,
    spool: &Path,
) -> Result<Bytes, Unread>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: Option<u64> = announced.and_then(|text| text.parse().ok());
    if let Some(length) = announced.filter(|length| *length > limit as u64) {
        return Err(Unread::TooLarge { at_least: length });
    }
    timeout(patience, arriving(body, limit, spool)).await.unwrap_or(Err(Unread::Slow))
}

async fn arriving<B>(mut body: B, limit: usize, spool: &Path) -> Result<Bytes, Unread>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let mut memory = Vec::new();
    let mut file: Option<File> = None;
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(Unread::TooLarge { at_least: length as u64 });
        }
        match &mut file {
            // Into the page cache: no slower than copying in memory.
            Some(file) => file.write_all(&data).map_err(Unread::Spool)?,
            None => memory.extend_from_slice(&data),
        }
        if file.is_none() && memory.len() > IN_MEMORY {
            let mut opened = tempfile::tempfile_in(spool).map_err(Unread::Spool)?;
            opened.write_all(&memory).map_err(Unread::Spool)?;
            memory = Vec::new();
            file = Some(opened);
        }
    }
    if let Some(mut file) = file {
        memory.reserve_exact(length);
        file.seek(SeekFrom::Start(0)).map_err(Unread::Spool)?;
        file.read_to_end(&mut memory).map_err(Unread::Spool)?;
    }
    Ok(memory.into())
}
