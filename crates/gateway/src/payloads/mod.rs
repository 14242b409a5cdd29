//! Payloads that are too large for a request: an object store keeps them for a while, and receivers
//! fetch them there ([ADR 0027](../../../../docs/adr/0027-large-payloads.md)).
//!
//! The message itself stays in the store, as every other: what is here is a copy for whoever was
//! given a URL to it, and goes when the last of these URLs has ended. Losing all of it costs the
//! receivers a retry.

mod door;
mod place;
mod s3;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use http::Method;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path,
    signer::Signer,
};
use ringback_domain::{
    callback::UrlKeys,
    id::MessageId,
    payload::{self, Link, Name},
    time::Timestamp,
};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

pub use self::{
    door::{PREFIX, routes},
    place::Place,
};
use crate::{config, outbound::Connector, seam::World};

/// The most that is waited until something is kept.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often what is over is looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// What keeps payloads. Clones share it.
#[derive(Clone)]
pub struct Payloads(Arc<Shared>);

struct Shared {
    store: Arc<dyn ObjectStore>,
    links: Links,
    /// What stands in front of every name.
    prefix: String,
    lifetime: Duration,
    limit: Option<u32>,
    world: World,
    /// Files are read and written on threads that wait, which the cores have none of.
    runtime: Handle,
}

/// Who opens what is kept.
enum Links {
    /// This server, at URLs that begin like this.
    Own { url: String, keys: UrlKeys },
    /// The object store.
    Theirs(Arc<dyn Signer>),
}

/// What an object store is made of.
pub struct Parts<'a> {
    /// What the operator wants.
    pub settings: &'a config::Payloads,
    /// Where this server is reached from outside, if that is known.
    pub public_url: Option<&'a str>,
    /// Make the URLs that this server opens.
    pub keys: UrlKeys,
    /// Dials the object store.
    pub connector: Connector,
    /// The clock.
    pub world: World,
    /// Where files are read and written.
    pub runtime: Handle,
}

/// Why there is no object store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Receivers could not fetch anything.
    #[error(
        "payloads.store is a directory, from which this server hands payloads out: set public_url, \
         so that receivers know where"
    )]
    NoPublicUrl,
    /// Its URL is none.
    #[error("payloads.store {0}")]
    Place(String),
    /// The directory cannot be used.
    #[error("payloads.store: {path}: {reason}")]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// There is nothing to sign with.
    #[error("payloads.store is an S3 bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    NoCredentials,
    /// The client of the object store says so.
    #[error("payloads.store: {0}")]
    Client(#[from] StoreError),
}

/// What could not be kept, for people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store did not take it.
    #[error("the object store does not take it: {0}")]
    Store(#[from] StoreError),
    /// The object store did not answer in time.
    #[error("the object store did not answer in time")]
    Late,
    /// There is no key that makes URLs, or the process is ending.
    #[error("no url can be made")]
    NoUrl,
}

/// A payload that is kept, and how to get it.
#[derive(Debug)]
pub struct Stored {
    /// Opens it until then.
    pub url: String,
    /// When the URL ends.
    pub end: Timestamp,
    /// SHA-256 of the payload, in hexadecimal digits.
    pub digest: String,
}

impl Payloads {
    /// The object store that the operator wants; none if none is wanted.
    ///
    /// # Errors
    /// [`OpenError`] says which setting it is about.
    pub fn open(parts: Parts<'_>) -> Result<Option<Payloads>, OpenError> {
        let Parts { settings, public_url, keys, connector, world, runtime } = parts;
        let Some(store) = &settings.store else { return Ok(None) };
        let place = Place::parse(store).map_err(OpenError::Place)?;
        let (store, links, prefix): (Arc<dyn ObjectStore>, _, _) = match place {
            Place::Directory(path) => {
                let url = public_url.ok_or(OpenError::NoPublicUrl)?.to_owned();
                let store = Arc::new(directory(&path)?);
                (store, Links::Own { url, keys }, String::new())
            }
            Place::Bucket { name, prefix, endpoint, region } => {
                let connector = s3::Http(Arc::new(connector));
                let store = s3::open(connector, &name, endpoint.as_deref(), region.as_deref())?;
                let store = Arc::new(store);
                (Arc::clone(&store) as _, Links::Theirs(store), prefix)
            }
        };
        Ok(Some(Payloads(Arc::new(Shared {
            store,
            links,
            prefix,
            lifetime: settings.url_lifetime,
            limit: settings.inline_limit,
            world,
            runtime,
        }))))
    }

    /// Payloads with more bytes are kept, unless their endpoint says otherwise.
    pub fn limit(&self) -> Option<u32> {
        self.0.limit
    }

    /// Keeps a message's payload, unless it is there, and makes a URL that opens it.
    ///
    /// # Errors
    /// [`Error`]: it is not kept. It may be later.
    pub async fn keep(&self, message: MessageId, payload: Bytes) -> Result<Stored, Error> {
        let this = Arc::clone(&self.0);
        let end = payload::end(this.world.clock.now(), this.lifetime);
        let kept = self.0.runtime.spawn(async move {
            let name = Name::new(message, &payload, end);
            timeout(PATIENCE, this.put(&name, payload)).await.map_err(|_| Error::Late)??;
            let digest = name.digest_text();
            Ok(Stored { url: this.url(Link { end, name }).await?, end, digest })
        });
        kept.await.map_err(|_| Error::NoUrl)?
    }

    /// Opens what a URL was given to.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    async fn get(
        &self,
        name: &Name,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, StoreError>>), StoreError> {
        let got = self.0.store.get(&self.0.path(name)).await?;
        Ok((got.meta.size, got.into_stream()))
    }

    /// Deletes what nobody can fetch any more, from time to time, until it is dropped.
    pub async fn keep_tidy(self) {
        loop {
            match self.sweep(self.0.world.clock.now()).await {
                Ok(0) => {}
                Ok(deleted) => tracing::debug!(deleted, "stored payloads were deleted"),
                Err(error) => {
                    tracing::warn!(%error, "stored payloads could not be deleted yet");
                }
            }
            sleep(SWEEP).await;
        }
    }

    /// Deletes what nobody can fetch any more; says how many objects that were.
    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let Shared { store, prefix, .. } = &*self.0;
        let hours = store.list_with_delimiter(Some(&Path::from(prefix.as_str()))).await?;
        let is_over = |hour: &&Path| hour.filename().is_some_and(|it| payload::is_over(it, now));
        let mut deleted = 0;
        for hour in hours.common_prefixes.iter().filter(is_over) {
            let found = store.list(Some(hour)).map_ok(|object| object.location).boxed();
            deleted +=
                store.delete_stream(found).try_fold(0, async |count, _| Ok(count + 1)).await?;
        }
        Ok(deleted)
    }
}

impl Shared {
    async fn put(&self, name: &Name, payload: Bytes) -> Result<(), StoreError> {
        let path = self.path(name);
        // Names are made of what is kept: what is there under this one is the same.
        match self.store.head(&path).await {
            Ok(found) if found.size == payload.len() as u64 => return Ok(()),
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        self.store.put(&path, payload.into()).await.map(drop)
    }

    async fn url(&self, link: Link) -> Result<String, Error> {
        match &self.links {
            Links::Own { url, keys } => {
                let token = link.token(keys).ok_or(Error::NoUrl)?;
                Ok(format!("{url}{PREFIX}{token}/{}", link.name))
            }
            Links::Theirs(signer) => {
                let path = self.path(&link.name);
                let url = signer.signed_url(Method::GET, &path, self.lifetime).await?;
                Ok(url.into())
            }
        }
    }

    fn path(&self, name: &Name) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }
}

/// The directory, made if it is not there, for nobody else's eyes.
fn directory(path: &std::path::Path) -> Result<LocalFileSystem, OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let failed = |reason: &dyn std::fmt::Display| OpenError::Directory {
        path: path.display().to_string(),
        reason: reason.to_string(),
    };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|reason| failed(&reason))?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(|reason| failed(&reason))?;
    Ok(store.with_fsync(true).with_automatic_cleanup(true))
}
