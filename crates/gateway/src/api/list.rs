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
    /// Whether there is nothing beyond this page.
    pub(super) done: bool,
}

impl<T> List<T> {
    /// The page that `listed` is, in answer to `page`; `ids` are those of its items.
    pub(super) fn new(kind: Kind, page: &Page, ids: Vec<Id>, data: Vec<T>, done: bool) -> List<T> {
        let text = |id: &Id| id.text(kind);
        List::of(&page.from, ids.first().map(text), ids.last().map(text), text, data, done)
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
}
