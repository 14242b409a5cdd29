//! Whose turn it is: a bounded number of calls at once, few of one tenant, and the tenants that wait
//! in a circle.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ringback_domain::id::Key;
use tokio::sync::oneshot;

/// How much at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Turns of everybody.
    pub(super) turns: usize,
    /// Turns of one tenant.
    pub(super) per_tenant: usize,
    /// Those of one tenant that may wait.
    pub(super) waiting: usize,
}

/// Gives out turns. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    bounds: Bounds,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    tenants: HashMap<Key, Tenant>,
    /// Tenants that wait for something, each once.
    circle: VecDeque<Key>,
}

#[derive(Debug, Default)]
struct Tenant {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to one call; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    tenant: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.give_back(self.tenant);
    }
}

impl Turns {
    pub(super) fn new(bounds: Bounds) -> Turns {
        Turns { bounds, state: Arc::default() }
    }

    /// Waits for a turn of the tenant; none if too many of its calls wait already.
    pub(super) async fn take(&self, tenant: Key) -> Option<Turn> {
        let (told, turn) = oneshot::channel();
        {
            let mut state = self.lock();
            let of_tenant = state.tenants.entry(tenant).or_default();
            // Whoever has calls that wait stands in the circle, even if nobody waits for them any more.
            let joins = of_tenant.waiting.is_empty();
            if of_tenant.waiting.len() >= self.bounds.waiting {
                // Those that no longer wait take no room.
                of_tenant.waiting.retain(|told| !told.is_closed());
                if of_tenant.waiting.len() >= self.bounds.waiting {
                    return None;
                }
            }
            of_tenant.waiting.push_back(told);
            if joins {
                state.circle.push_back(tenant);
            }
        }
        self.give_out();
        turn.await.ok()
    }

    fn give_back(&self, tenant: Key) {
        let mut state = self.lock();
        state.taken -= 1;
        if let Some(of_tenant) = state.tenants.get_mut(&tenant) {
            of_tenant.taken -= 1;
            if of_tenant.taken == 0 && of_tenant.waiting.is_empty() {
                state.tenants.remove(&tenant);
            }
        }
        drop(state);
        self.give_out();
    }

    /// Gives out what there is to give. A turn that nobody waits for any more comes back by itself.
    fn give_out(&self) {
        loop {
            let next = self.lock().next(self.bounds);
            let Some((tenant, told)) = next else { return };
            // Not under the lock: an unwanted turn is dropped here, and takes it.
            let _ = told.send(Turn { turns: self.clone(), tenant });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next of those that wait who may have a turn, which counts as taken.
    fn next(&mut self, bounds: Bounds) -> Option<(Key, oneshot::Sender<Turn>)> {
        if self.taken >= bounds.turns {
            return None;
        }
        for _ in 0..self.circle.len() {
            let tenant = self.circle.pop_front()?;
            let of_tenant = self.tenants.get_mut(&tenant)?;
            if of_tenant.taken >= bounds.per_tenant {
                self.circle.push_back(tenant);
                continue;
            }
            let told = of_tenant.waiting.pop_front();
            if !of_tenant.waiting.is_empty() {
                self.circle.push_back(tenant);
            }
            let Some(told) = told else { continue };
            of_tenant.taken += 1;
            self.taken += 1;
            return Some((tenant, told));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::*;

    fn turns() -> Turns {
        Turns::new(Bounds { turns: 3, per_tenant: 2, waiting: 2 })
    }

    #[tokio::test]
    async fn a_tenant_has_its_share_and_the_next_of_another_is_served_before_its_own() {
        let turns = turns();
        let (first, second) = (turns.take(1).await.unwrap(), turns.take(1).await.unwrap());
        let mut third = pin!(turns.take(1));
        assert!(futures_util::poll!(&mut third).is_pending(), "it has its share");
        let other = turns.take(2).await.unwrap();
        let mut another = pin!(turns.take(3));
        assert!(futures_util::poll!(&mut another).is_pending(), "all turns are taken");
        drop(other);
        assert!(futures_util::poll!(&mut third).is_pending());
        let Poll::Ready(Some(another)) = futures_util::poll!(&mut another) else { panic!() };
        drop(first);
        assert!(futures_util::poll!(&mut third).is_ready());
        drop((second, another));
        assert_eq!(turns.lock().taken, 0, "every turn came back");
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_whoever_goes_leaves_no_trace() {
        let turns = turns();
        let taken = (turns.take(1).await.unwrap(), turns.take(1).await.unwrap());
        {
            let (mut third, mut fourth) = (pin!(turns.take(1)), pin!(turns.take(1)));
            assert!(futures_util::poll!(&mut third).is_pending());
            assert!(futures_util::poll!(&mut fourth).is_pending());
            assert!(turns.take(1).await.is_none(), "two wait already");
        }
        let mut fifth = pin!(turns.take(1));
        assert!(futures_util::poll!(&mut fifth).is_pending(), "those that went left room");
        drop(taken);
        assert!(matches!(futures_util::poll!(&mut fifth), Poll::Ready(Some(_))));
        assert!(turns.lock().tenants.is_empty());
        assert_eq!(turns.lock().taken, 0);
    }

    #[tokio::test]
    async fn calls_that_went_hold_nobody_up() {
        let turns = turns();
        let mut taken = Vec::new();
        for tenant in [1, 1, 2] {
            taken.push(turns.take(tenant).await.unwrap());
        }
        {
            let (mut third, mut fourth) = (pin!(turns.take(1)), pin!(turns.take(1)));
            assert!(futures_util::poll!(&mut third).is_pending());
            assert!(futures_util::poll!(&mut fourth).is_pending());
        }
        // Makes room of those two, and goes as well.
        {
            let mut fifth = pin!(turns.take(1));
            assert!(futures_util::poll!(&mut fifth).is_pending());
        }
        let mut of_others = [pin!(turns.take(3)), pin!(turns.take(4))];
        for other in &mut of_others {
            assert!(futures_util::poll!(other).is_pending());
        }
        drop(taken);
        for other in &mut of_others {
            assert!(matches!(futures_util::poll!(other), Poll::Ready(Some(_))));
        }
        assert_eq!(turns.lock().circle.len(), 0);
    }
}
