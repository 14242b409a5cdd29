//! Pages over a table that is a sorted set: whatever rows come and go, a walk misses none that
//! stays and shows none twice.

use std::collections::BTreeSet;

use proptest::{collection::btree_set, prelude::*};
use ringback_domain::id::{Id, Key};

use super::Cut;
use crate::{Listed, Order, Page, Position};

fn id(key: Key) -> Id {
    Id { key, shard: 0, nonce: 0 }
}

/// Reads a page as the queries do: between the bounds, in the direction, one row more.
fn read(table: &BTreeSet<Key>, from: Position<Id>, order: Order, limit: usize) -> Listed<Key> {
    let cut = Cut::new(&Page { limit, from, order });
    let rows = usize::try_from(cut.walk.rows()).unwrap();
    let between = table.iter().copied().filter(|key| *key > cut.low && *key < cut.high);
    let rows: Vec<Key> = if cut.walk.ascending() {
        between.take(rows).collect()
    } else {
        between.rev().take(rows).collect()
    };
    cut.walk.page(rows)
}

fn order(ascending: bool) -> Order {
    if ascending { Order::Ascending } else { Order::Descending }
}

proptest! {
    #[test]
    fn a_walk_shows_every_row_once_and_in_order(
        table in btree_set(0i64..1_000, 0..60), ascending: bool, limit in 1usize..12,
    ) {
        let mut shown: Vec<Key> = Vec::new();
        let mut from = Position::Start;
        loop {
            let page = read(&table, from, order(ascending), limit);
            shown.extend(&page.items);
            if page.done {
                break;
            }
            from = Position::After(id(*page.items.last().unwrap()));
        }
        let mut expected: Vec<Key> = table.into_iter().collect();
        if !ascending {
            expected.reverse();
        }
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn going_back_shows_the_pages_that_were_passed(
        table in btree_set(0i64..1_000, 1..60), ascending: bool, limit in 1usize..12,
    ) {
        let first = read(&table, Position::Start, order(ascending), limit);
        let after = Position::After(id(*first.items.last().unwrap()));
        let second = read(&table, after, order(ascending), limit);
        prop_assume!(!second.items.is_empty());
        let back = read(&table, Position::Before(id(second.items[0])), order(ascending), limit);
        prop_assert_eq!(back.items, first.items);
        prop_assert!(back.done);
    }

    #[test]
    fn rows_that_go_take_no_others_along(
        table in btree_set(0i64..1_000, 2..60), gone in btree_set(0i64..1_000, 0..30),
        ascending: bool, limit in 1usize..12,
    ) {
        let first = read(&table, Position::Start, order(ascending), limit);
        let from = Position::After(id(*first.items.last().unwrap()));
        let staying: BTreeSet<Key> = table.difference(&gone).copied().collect();
        // The cursor's own row may be among those that are gone.
        let rest = read(&staying, from, order(ascending), usize::MAX / 2).items;
        let expected: BTreeSet<Key> =
            staying.iter().copied().filter(|key| !first.items.contains(key)).collect();
        prop_assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
