//! One request to a provider: guarded, bounded, never redirected.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use ringback_domain::{
    oauth::Ask,
    target::{Rules, Target},
};
use tokio::time::Instant;

use super::{Oauth, Trouble};
use crate::outbound::{Limits, Once};

/// How long a provider may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const LARGEST: usize = 256 * 1024;

/// What a provider answered.
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

impl Oauth {
    /// Asks a provider.
    ///
    /// # Errors
    /// [`Trouble::Away`] where there is no whole answer in time, [`Trouble::Misconfigured`] where the
    /// URL is none that is dialled. A redirect is an answer that says nothing.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Heard, Trouble> {
        let rules = Rules { require_https: self.parts().require_https };
        let target = Target::parse(&ask.url, rules)
            .map_err(|error| Trouble::Misconfigured(format!("the provider's url: {error}")))?;
        let agent = ("user-agent".to_owned(), "ringback".to_owned());
        // What is compressed is not read.
        let plain = ("accept-encoding".to_owned(), "identity".to_owned());
        let mut headers = ask.headers;
        headers.extend([agent, plain]);
        let once = Once {
            method: ask.method,
            target: &target,
            headers: &headers,
            body: Bytes::from(ask.body),
        };
        let limits = Limits { keep: LARGEST, read: LARGEST, headers: 100 };
        let answer = self.parts().connector.once(once, &limits, Instant::now() + PATIENCE).await;
        let answer = answer.map_err(|reason| Trouble::Away(reason.as_str().to_owned()))?;
        if answer.truncated {
            return Err(Trouble::Unbelievable(format!("it is larger than {LARGEST} bytes")));
        }
        if answer.status.is_redirection() {
            let what = "it redirects, which is never followed".to_owned();
            return Err(Trouble::Unbelievable(what));
        }
        let content_type = answer.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|it| it.to_str().ok()).map(str::to_owned);
        Ok(Heard { status: answer.status.as_u16(), content_type, body: answer.body })
    }

    /// The JSON document at a URL.
    ///
    /// # Errors
    /// As [`document_of`](Self::document_of).
    pub(super) async fn document(&self, url: &str) -> Result<String, Trouble> {
        let headers = vec![("accept".to_owned(), "application/json".to_owned())];
        self.document_of(Ask { method: "GET", url: url.to_owned(), headers, body: Vec::new() })
            .await
    }

    /// The document that an answer is.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), and [`Trouble::Unbelievable`] of what is no document.
    pub(super) async fn document_of(&self, ask: Ask) -> Result<String, Trouble> {
        let heard = self.ask(ask).await?;
        match heard.status {
            200 => String::from_utf8(heard.body.to_vec())
                .map_err(|_| Trouble::Unbelievable("it is no text".to_owned())),
            status @ (429 | 500..) => Err(Trouble::Away(format!("it answered {status}"))),
            status => Err(Trouble::Unbelievable(format!("it answered {status}"))),
        }
    }
}
