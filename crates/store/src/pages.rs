//! Keyset pages: a list is cut by key, never by counting, so rows that come and go move nothing.

use ringback_domain::{
    id::{Id, Key},
    time::Timestamp,
};

use crate::{Listed, Order, Page, Position};

/// Which way the rows of a page are read, and how many.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    ascending: bool,
    /// Whether it runs against the list, to find the page that ends before a row.
    backwards: bool,
    limit: usize,
}

impl Walk {
    pub(crate) fn new<C>(limit: usize, from: &Position<C>, order: Order) -> Walk {
        let backwards = matches!(from, Position::Before(_));
        Walk { ascending: (order == Order::Ascending) != backwards, backwards, limit }
    }

    /// The query's text with its direction filled in.
    pub(crate) fn sql(self, template: &str) -> String {
        template.replace("{direction}", if self.ascending { "ASC" } else { "DESC" })
    }

    /// How many rows to ask for: one more than the page has tells whether there is more.
    pub(crate) fn rows(self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Whether the cursor is a lower bound of what is read; otherwise it is an upper one.
    pub(crate) fn ascending(self) -> bool {
        self.ascending
    }

    /// The page, from the rows in the order in which they were read.
    pub(crate) fn page<T>(self, mut rows: Vec<T>) -> Listed<T> {
        let done = rows.len() <= self.limit;
        rows.truncate(self.limit);
        if self.backwards {
            rows.reverse();
        }
        Listed { items: rows, done }
    }
}

/// A page of a list that is ordered by key, with the keys it lies between.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) walk: Walk,
    /// Every key is greater.
    pub(crate) low: Key,
    /// Every key is smaller.
    pub(crate) high: Key,
}

impl Cut {
    pub(crate) fn new(page: &Page) -> Cut {
        let walk = Walk::new(page.limit, &page.from, page.order);
        let cut = Cut { walk, low: -1, high: Key::MAX };
        match &page.from {
            Position::Start => cut,
            Position::After(id) | Position::Before(id) if walk.ascending() => {
                Cut { low: id.key, ..cut }
            }
            Position::After(id) | Position::Before(id) => Cut { high: id.key, ..cut },
        }
    }

    /// Leaves out what was not made between two points in time; both are left out, too.
    pub(crate) fn between(self, after: Option<Timestamp>, before: Option<Timestamp>) -> Cut {
        let low = after.map_or(-1, |time| Id::first_key_at(Timestamp(time.millis() + 1)) - 1);
        let high = before.map_or(Key::MAX, Id::first_key_at);
        Cut { low: self.low.max(low), high: self.high.min(high), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys 1 to 5 as a database would give them.
    fn list(page: &Page) -> (Vec<Key>, bool) {
        let cut = Cut::new(page);
        let mut keys: Vec<Key> = (1..=5).filter(|key| cut.low < *key && *key < cut.high).collect();
        if cut.walk.sql("{direction}") == "DESC" {
            keys.reverse();
        }
        keys.truncate(cut.walk.rows() as usize);
        let listed = cut.walk.page(keys);
        (listed.items, listed.done)
    }

    #[test]
    fn pages_run_both_ways_in_both_orders() {
        let id = |key| Id { key, shard: 0, nonce: 0 };
        let (up, down) = (Order::Ascending, Order::Descending);
        for (order, from, expect, done) in [
            (up, Position::Start, [1, 2].as_slice(), false),
            (up, Position::After(id(3)), &[4, 5], true),
            (up, Position::Before(id(4)), &[2, 3], false),
            (up, Position::Before(id(3)), &[1, 2], true),
            (up, Position::Before(id(1)), &[], true),
            (down, Position::Start, &[5, 4], false),
            (down, Position::After(id(3)), &[2, 1], true),
            (down, Position::Before(id(2)), &[4, 3], false),
            (down, Position::Before(id(3)), &[5, 4], true),
        ] {
            let page = Page { limit: 2, from, order };
            assert_eq!(list(&page), (expect.to_vec(), done), "{page:?}");
        }
    }

    #[test]
    fn times_become_keys() {
        let page = Page { limit: 1, from: Position::Start, order: Order::Ascending };
        let cut = Cut::new(&page).between(Some(Timestamp(10)), Some(Timestamp(12)));
        let first = |millis| Id::first_key_at(Timestamp(millis));
        assert!(first(11) - 1 <= cut.low && cut.low < first(11), "the whole millisecond 10 is out");
        assert_eq!(cut.high, first(12));
    }
}

#[cfg(test)]
mod walks;
