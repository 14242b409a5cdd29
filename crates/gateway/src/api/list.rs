//! Lists: one page with the cursors of its neighbours.

use ringback_domain::id::{Id, Kind};
use ringback_store::{Listed, Page, Position};
use serde::Serialize;
use utoipa::ToSchema;

/// One page.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    /// The items.
    pub(super) data: Vec<T>,
    /// Asks for the next page, also when there is nothing on it yet.
    #[schema(required)]
    pub(super) iterator: Option<String>,
    /// Asks for the page before this one.
    #[schema(required)]
    pub(super) prev_iterator: Option<String>,
    /// Whether there is nothing beyond this page. A page of a filtered list may be short or empty
    /// and not be the last: what it looks at is bounded.
    pub(super) done: bool,
}

impl<T> List<T> {
    /// The page that `listed` is, in answer to `page`; `ids` are those of its items.
    pub(super) fn new(kind: Kind, page: &Page, ids: Vec<Id>, data: Vec<T>, done: bool) -> List<T> {
        let text = |id: &Id| id.text(kind);
        List::of(&page.from, ids.first().map(text), ids.last().map(text), text, data, done)
    }

    /// The page of a search, which may end where it had looked at enough: the cursor onwards is the
    /// place that it had reached then, whatever was found.
    pub(super) fn found(
        kind: Kind,
        page: &Page,
        ids: Vec<Id>,
        data: Vec<T>,
        (done, reached): (bool, Option<Id>),
    ) -> List<T> {
        let list = List::new(kind, page, ids, data, done);
        let Some(reached) = reached.map(|id| id.text(kind)) else { return list };
        match page.from {
            Position::Before(_) => List { prev_iterator: Some(format!("-{reached}")), ..list },
            Position::Start | Position::After(_) => List { iterator: Some(reached), ..list },
        }
    }

    /// As [`List::new`], for any kind of cursor: `text` is how one is written.
    ///
    /// An empty page keeps the cursor that led to it, so that whoever follows a list as it grows
    /// does not fall back to its beginning.
    pub(super) fn of<C>(
        from: &Position<C>,
        first: Option<String>,
        last: Option<String>,
        text: impl Fn(&C) -> String,
        data: Vec<T>,
        done: bool,
    ) -> List<T> {
        let (after, before) = match from {
            Position::Start => (None, None),
            Position::After(cursor) => (Some(text(cursor)), None),
            Position::Before(cursor) => (None, Some(text(cursor))),
        };
        let prev_iterator = first.or(before).map(|cursor| format!("-{cursor}"));
        List { data, iterator: last.or(after), prev_iterator, done }
    }
}

/// The ids of the items of a page, and its items as `show` renders them.
pub(super) fn shown<I: ringback_store::Identified, T>(
    kind: Kind,
    page: &Page,
    listed: Listed<I>,
    show: impl FnMut(I) -> T,
) -> List<T> {
    let ids = listed.items.iter().map(I::id).collect();
    let data = listed.items.into_iter().map(show).collect();
    List::new(kind, page, ids, data, listed.done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        let check = |from, items: &[&str], iterator: Option<&str>, prev: Option<&str>| {
            let end = |item: Option<&&str>| item.map(|item| (*item).to_owned());
            let text = |cursor: &&str| (*cursor).to_owned();
            let list = List::of(&from, end(items.first()), end(items.last()), text, vec![0], true);
            assert_eq!(list.iterator.as_deref(), iterator, "{from:?}");
            assert_eq!(list.prev_iterator.as_deref(), prev, "{from:?}");
        };
        check(Position::Start, &["a", "b", "c"], Some("c"), Some("-a"));
        check(Position::After("c"), &["d"], Some("d"), Some("-d"));
        check(Position::Start, &[], None, None);
        check(Position::After("c"), &[], Some("c"), None);
        check(Position::Before("a"), &[], None, Some("-a"));
    }

    #[test]
    fn a_search_goes_on_where_it_had_looked_at_enough() {
        let id = |key| Id { key, shard: 0, nonce: 0 };
        let text = |key| id(key).text(Kind::Message);
        for (from, ids, iterator, prev) in [
            (Position::Start, vec![], Some(text(9)), None),
            (Position::After(id(1)), vec![], Some(text(9)), None),
            (Position::After(id(1)), vec![id(3)], Some(text(9)), Some(text(3))),
            (Position::Before(id(1)), vec![id(3)], Some(text(3)), Some(text(9))),
        ] {
            let page = Page { limit: 5, from, order: ringback_store::Order::Ascending };
            let data = vec![0; ids.len()];
            let list = List::found(Kind::Message, &page, ids, data, (false, Some(id(9))));
            let prev = prev.map(|text| format!("-{text}"));
            assert_eq!((list.iterator, list.prev_iterator, list.done), (iterator, prev, false));
        }
    }
}
