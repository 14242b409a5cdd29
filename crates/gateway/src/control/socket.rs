//! The socket itself: where it is, the server's end and the client's.

use std::future::Future;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::{Request, Response};

/// The system allows 108 bytes with the final zero; stay clear of it.
const LONGEST_PATH: usize = 100;
/// Longest line either end reads, in bytes.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
const LONGEST_REQUEST: u64 = 64 * 1024;
/// One client at a time is served, so a silent one must not hold up the next.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the socket of a data directory is: in it, or, if that path is too long for the system, in
/// the user's runtime directory under a name made from the path's hash.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let beside = data.join("control.sock");
    if beside.as_os_str().len() <= LONGEST_PATH {
        return beside;
    }
    let hash = digest(&SHA256, data.as_os_str().as_bytes());
    let name = HEXLOWER.encode(&hash.as_ref()[..8]);
    runtime_dir().join(format!("ringback-{name}.sock"))
}

fn runtime_dir() -> PathBuf {
    let of_session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let of_user = PathBuf::from(format!("/run/user/{}", geteuid().as_raw()));
    [of_session, Some(of_user)]
        .into_iter()
        .flatten()
        .find(|dir| dir.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// The server's end; the socket disappears with it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Binds the socket of a data directory. The caller holds the directory's lock, so a socket
    /// that is already there was left behind by a process that has ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(data: &Path) -> io::Result<Self> {
        let path = path(data);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves one client after the other until it is dropped. Requests are few and quick; what
    /// goes wrong with one client is that client's to see.
    pub async fn run<F, Answer>(&self, handle: F)
    where
        F: Fn(Request) -> Answer,
        Answer: Future<Output = Response>,
    {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = answer(stream, &handle).await {
                        tracing::debug!(%error, "a control client was not served");
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: give others time to free some.
                    tracing::warn!(%error, "the control socket accepts nothing");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is left behind is removed by the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer<F, Answer>(mut stream: tokio::net::UnixStream, handle: &F) -> io::Result<()>
where
    F: Fn(Request) -> Answer,
    Answer: Future<Output = Response>,
{
    let peer = stream.peer_cred()?.uid();
    if peer != geteuid().as_raw() && peer != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user id {peer}")));
    }
    let mut line = Vec::new();
    let (reader, mut writer) = stream.split();
    let mut reader = tokio::io::BufReader::new(reader.take(LONGEST_REQUEST));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let response = match serde_json::from_slice(&line) {
        Ok(request) => handle(request).await,
        Err(error) => Response::Refused { reason: format!("not understood: {error}") },
    };
    let mut text = serde_json::to_vec(&response)?;
    text.push(b'\n');
    timeout(PATIENCE, writer.write_all(&text)).await?
}

/// Why the server that holds a data directory gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No server, or one that does not answer.
    #[error("cannot ask the server through {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error("{} is served by user {uid}, not by you", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who serves it.
        uid: u32,
    },
}

/// Asks the server that holds a data directory; blocks until it answers.
///
/// # Errors
/// [`CallError`]; a refusal is not one of them but a [`Response`].
pub fn call(data: &Path, request: &Request) -> Result<Response, CallError> {
    let path = path(data);
    let failed = |source| CallError::Io { path: path.clone(), source };
    let stream = UnixStream::connect(&path).map_err(failed)?;
    let server = rustix::net::sockopt::socket_peercred(&stream).map_err(|e| failed(e.into()))?;
    if server.uid != geteuid() && !server.uid.is_root() && !geteuid().is_root() {
        return Err(CallError::Foreign { path, uid: server.uid.as_raw() });
    }
    exchange(&stream, request).map_err(failed)
}

fn exchange(mut stream: &UnixStream, request: &Request) -> io::Result<Response> {
    // Longer than the store may take when it is busy.
    stream.set_read_timeout(Some(6 * PATIENCE))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_answered_and_the_socket_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(dir.path()).unwrap();
        let mode = std::fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let data = dir.path().to_owned();
        let client = tokio::task::spawn_blocking(move || {
            let revoke = Request::RevokeToken { id: "tok_x".to_owned() };
            (call(&data, &revoke), call(&data, &Request::ListTokens {}))
        });
        let handle = async |request| match request {
            Request::ListTokens {} => Response::Tokens(Vec::new()),
            other => Response::Refused { reason: format!("{other:?}") },
        };
        let (revoked, listed) = tokio::select! {
            () = server.run(handle) => unreachable!("it serves until it is dropped"),
            answers = client => answers.unwrap(),
        };
        let reason = "RevokeToken { id: \"tok_x\" }".to_owned();
        assert_eq!(revoked.unwrap(), Response::Refused { reason });
        assert_eq!(listed.unwrap(), Response::Tokens(Vec::new()));

        drop(server);
        let gone = call(dir.path(), &Request::ListTokens {});
        assert!(matches!(gone, Err(CallError::Io { .. })));
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let left = std::os::unix::net::UnixListener::bind(path(dir.path())).unwrap();
        drop(left);
        Server::bind(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(dir.path()).unwrap();
        let mut stream = tokio::net::UnixStream::connect(path(dir.path())).await.unwrap();
        stream.write_all(b"{\"create_token\":{}}\n").await.unwrap();
        let mut text = String::new();
        tokio::select! {
            () = server.run(async |_| unreachable!("it is no request")) => {}
            read = stream.read_to_string(&mut text) => { read.unwrap(); }
        }
        assert!(text.starts_with("{\"refused\":{\"reason\":\"not understood: missing"), "{text}");
    }

    #[test]
    fn a_long_path_moves_to_the_runtime_directory() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        let socket = path(&deep);
        assert!(socket.as_os_str().len() <= LONGEST_PATH, "{}", socket.display());
        assert_eq!(socket, path(&deep), "the name is the same for every process");
        assert_ne!(socket, path(&deep.join("other")));
    }
}
