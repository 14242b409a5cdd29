//! A mailbox: many threads post, one core reads all there is with one wake-up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Posts for one core.
pub struct Mailbox<T> {
    posts: Mutex<Vec<T>>,
    arrived: Notify,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Mailbox<T> {
        Mailbox { posts: Mutex::new(Vec::new()), arrived: Notify::new() }
    }
}

impl<T> Mailbox<T> {
    /// Posts something. Only the first post after a reading wakes the reader.
    pub fn post(&self, post: T) {
        let mut posts = self.lock();
        let first = posts.is_empty();
        posts.push(post);
        drop(posts);
        if first {
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something, and takes all of it.
    pub async fn take(&self) -> Vec<T> {
        loop {
            let posts = std::mem::take(&mut *self.lock());
            if !posts.is_empty() {
                return posts;
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
