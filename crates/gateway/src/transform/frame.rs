//! What goes through the pipes: JSON behind its length, four bytes, the greatest first.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Entry, Failure, MAX_INPUT, Ran};

/// The longest frame: escaped, text is at most six times as long.
const MAX: usize = 6 * MAX_INPUT + 1024 * 1024;

/// What a child is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) program: String,
    pub(super) entry: Entry,
    /// What the function is called with, as JSON; none if it has only to be there.
    pub(super) input: Option<String>,
    /// What the clock says, in milliseconds.
    pub(super) at: i64,
    pub(super) seed: u64,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// The function returned.
    Ran(Ran),
    /// The function is there.
    Checked,
    /// There is nothing that could be used.
    Failed(Failure),
}

/// The bytes of a frame.
///
/// # Errors
/// When it is too long.
pub(super) fn encode(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, what)?;
    let length = frame.len() - 4;
    if length > MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(frame)
}

/// Reads a frame; none at the end.
///
/// # Errors
/// When it breaks off, is too long, or is not what it should be.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut frame = vec![0; checked(length)?];
    from.read_exact(&mut frame)?;
    Ok(Some(serde_json::from_slice(&frame)?))
}

/// Writes a frame.
///
/// # Errors
/// When it is too long or nobody reads.
pub(super) fn write(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(what)?)?;
    to.flush()
}

/// Reads a frame that a child wrote.
///
/// # Errors
/// As [`read`]; the end is one, too.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let mut frame = vec![0; checked(length)?];
    from.read_exact(&mut frame).await?;
    Ok(serde_json::from_slice(&frame)?)
}

fn checked(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX { Err(io::ErrorKind::InvalidData.into()) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_too_long_is_not() {
        let mut pipe = Vec::new();
        write(&mut pipe, &Told::Checked).unwrap();
        assert!(matches!(read(&mut pipe.as_slice()).unwrap(), Some(Told::Checked)));
        assert!(read::<Told>(&mut &[][..]).unwrap().is_none());
        assert!(read::<Told>(&mut &pipe[..6]).is_err(), "it breaks off");
        assert!(read::<Told>(&mut &[0xff_u8; 8][..]).is_err(), "four gigabytes");
    }
}
