//! One request over a connection of its own, for what is asked seldom.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use ringback_domain::target::Target;
use tokio::time::Instant;

use super::{Answer, Connector, Limits, Opened, Reason, exchange};

/// A request.
#[derive(Debug)]
pub struct Once<'a> {
    /// How.
    pub method: &'a str,
    /// Where to.
    pub target: &'a Target,
    /// What goes with it, besides `host` and `content-length`.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: Bytes,
}

impl Connector {
    /// Opens a connection, makes the request, reads its answer and closes, all before `deadline`.
    ///
    /// # Errors
    /// [`Reason`]; [`Reason::Malformed`] also of a request that cannot be written as HTTP.
    pub async fn once(
        &self,
        once: Once<'_>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<Answer, Reason> {
        let request = once.request().ok_or(Reason::Malformed)?;
        let opened = self.connect(once.target, deadline).await.map_err(|failure| failure.reason)?;
        let Opened { mut sender, connection, .. } = opened;
        let driven = async {
            connection.await;
            // What came before its end is still to be read.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = exchange(&mut sender, request, limits, deadline) => {
                answer.map_err(|failure| failure.reason)
            }
            () = driven => Err(Reason::Reset),
        }
    }
}

impl Once<'_> {
    fn request(&self) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).ok()?;
        *request.uri_mut() = self.target.path_and_query.parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(&self.target.host_header).ok()?);
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            if !matches!(name, header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
                headers.append(name, HeaderValue::from_str(value).ok()?);
            }
        }
        Some(request)
    }
}
