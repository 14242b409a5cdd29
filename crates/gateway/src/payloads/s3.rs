//! A bucket of S3, reached over this program's own way out: no second HTTP client, no second TLS.

use std::{env, fmt, pin::Pin, sync::Arc, time::Duration};

use http_body_util::BodyExt;
use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use ringback_domain::target::{Rules, Target, TargetError};
use tokio::time::Instant;

use super::OpenError;
use crate::outbound::{Connector, Limits, Once, Reason};

/// The total time of one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read of an answer: a list has at most a thousand objects.
const ANSWER: usize = 4 * 1024 * 1024;

/// The client of a bucket. Nothing is asked yet.
///
/// # Errors
/// [`OpenError`]: there are no credentials, or the settings fit no client.
pub(super) fn open(
    http: Http,
    bucket: &str,
    endpoint: Option<&str>,
    region: Option<&str>,
) -> Result<AmazonS3, OpenError> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let key = variable("AWS_ACCESS_KEY_ID").ok_or(OpenError::NoCredentials)?;
    let secret = variable("AWS_SECRET_ACCESS_KEY").ok_or(OpenError::NoCredentials)?;
    let region = region.map(str::to_owned).or_else(|| variable("AWS_REGION"));
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(http)
        .with_retry(RetryConfig {
            max_retries: 2,
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        })
        .with_bucket_name(bucket)
        .with_access_key_id(key)
        .with_secret_access_key(secret)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()));
    if let Some(token) = variable("AWS_SESSION_TOKEN") {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_allow_http(endpoint.starts_with("http:")).with_endpoint(endpoint);
    }
    Ok(builder.build()?)
}

/// Makes the requests of an object store's client.
#[derive(Clone)]
pub(super) struct Http(pub(super) Arc<Connector>);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Http {
    fn call<'a, 'made>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'made>>
    where
        'a: 'made,
        Self: 'made,
    {
        Box::pin(self.request(request))
    }
}

impl Http {
    async fn request(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string(), Rules { require_https: false });
        let target = target.map_err(|wrong| failed(Unanswered::Url(wrong)))?;
        let headers: Vec<_> = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let once = Once {
            method: parts.method.as_str(),
            target: &target,
            headers: &headers,
            body: body.collect().await?.to_bytes(),
        };
        let limits = Limits { keep: ANSWER, read: ANSWER, ..Limits::default() };
        let answer = self.0.once(once, &limits, Instant::now() + PATIENCE).await;
        let answer = answer.map_err(|reason| failed(Unanswered::Reason(reason)))?;
        if answer.truncated {
            return Err(failed(Unanswered::Reason(Reason::TooLarge)));
        }
        let mut response = HttpResponse::new(answer.body.into());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Url(TargetError),
    #[error("{0}")]
    Reason(Reason),
}

fn failed(why: Unanswered) -> HttpError {
    let kind = match &why {
        Unanswered::Url(_) => HttpErrorKind::Unknown,
        Unanswered::Reason(Reason::Timeout | Reason::ConnectTimeout | Reason::DnsTimeout) => {
            HttpErrorKind::Timeout
        }
        Unanswered::Reason(Reason::TooLarge | Reason::Malformed) => HttpErrorKind::Decode,
        Unanswered::Reason(Reason::Reset) => HttpErrorKind::Interrupted,
        Unanswered::Reason(_) => HttpErrorKind::Connect,
    };
    HttpError::new(kind, why)
}
