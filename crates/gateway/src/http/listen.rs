//! Accepts connections and deals them to the cores in turn, so that each core has as many.

use std::{sync::Arc, time::Duration};

use crate::{
    core::Mailbox,
    seam::{Accepted, Listener},
};

/// How long to wait after the system refused a connection (out of file descriptors).
const PAUSE: Duration = Duration::from_millis(50);

/// Deals connections until it is dropped.
pub async fn deal(mut listener: Box<dyn Listener>, cores: Vec<Arc<Mailbox<Accepted>>>) {
    for core in (0..cores.len()).cycle() {
        match listener.accept().await {
            Ok((accepted, _)) => cores[core].post(accepted),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
