//! Accepts connections and deals them to the cores in turn, so that each core has as many.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    core::Mailbox,
    seam::{Accepted, Listener},
};

/// How long to wait after the system refused a connection (out of file descriptors).
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that a core serves, and its peer.
pub type Dealt = (Accepted, SocketAddr);

/// Deals connections until it is dropped.
pub async fn deal(mut listener: Box<dyn Listener>, cores: Vec<Arc<Mailbox<Dealt>>>) {
    for core in (0..cores.len()).cycle() {
        match listener.accept().await {
            Ok(dealt) => cores[core].post(dealt),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
