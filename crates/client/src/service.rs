//! A receiver as a `tower` service, and as a layer around another one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tower_layer::Layer;
use tower_service::Service;

use crate::BoxError;
use crate::receiver::{Received, Receiver, too_large, unreadable};

type Pending<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<B> Service<Request<B>> for Receiver
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pending<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let receiver = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answer = match read(body, receiver.limit()).await {
                Ok(body) => receiver.handle(Request::from_parts(parts, body)).await,
                Err(answer) => answer,
            };
            Ok(answer.map(Full::new))
        })
    }
}

impl<S> Layer<S> for Receiver {
    type Service = Dispatch<S>;

    fn layer(&self, inner: S) -> Dispatch<S> {
        Dispatch { receiver: self.clone(), inner }
    }
}

/// A [`Receiver`] around a service that gets what no handler is for: verified, and with its
/// [`Event`](crate::Event) among the extensions of the request.
#[derive(Clone)]
pub struct Dispatch<S> {
    receiver: Receiver,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Dispatch<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pending<Response<R>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let receiver = self.receiver.clone();
        // The one that is ready is used, and its clone has to become so.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = match read(body, receiver.limit()).await {
                Ok(body) => body,
                Err(answer) => return Ok(answer.map(R::from)),
            };
            match receiver.receive(&parts, body.clone()).await {
                Received::Answer(answer) => Ok(answer.map(R::from)),
                Received::Unhandled(event) => {
                    parts.extensions.insert(event);
                    inner.call(Request::from_parts(parts, B::from(body))).await
                }
            }
        })
    }
}

/// The bytes of a body, or what is answered if it is too long or cannot be read.
async fn read<B>(body: B, limit: usize) -> Result<Bytes, Response<Bytes>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(unreadable()),
    }
}
