//! Query strings, in every spelling that SDKs and people use.
//!
//! Lists come comma-joined (`a=1,2`), repeated (`a=1&a=2`) and with brackets (`a[]=1`, `a[0]=1`).
//! An empty value means none; unknown names are passed over; everything wrong is told at once. A
//! NUL is wrong wherever it is: no name holds one, and PostgreSQL takes none in a text.

use std::str::FromStr;

use axum::{extract::FromRequestParts, http::request::Parts};
use ringback_domain::{
    id::{Id, Kind},
    time::Timestamp,
};
use ringback_store::{Order, Page, Position};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, Problem};

/// The page size when none is asked for.
pub(super) const LIMIT_DEFAULT: usize = 50;
/// The largest page size.
pub(super) const LIMIT_MAX: usize = 250;

/// Reads `T` from the query string.
pub(super) struct Query<T>(pub(super) T);

/// What can be read from a query string.
pub(super) trait FromQuery: Sized {
    /// Takes what it knows; what is wrong is noted in `query`.
    fn read(query: &mut Params) -> Self;
}

impl<S: Sync, T: FromQuery> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Error> {
        parse(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

/// Reads `T` from the text after the `?`.
pub(super) fn parse<T: FromQuery>(text: &str) -> Result<T, Error> {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    let pairs = pairs.map(|(name, value)| (plain(&name).to_owned(), value.into_owned()));
    let pairs = pairs.filter(|(_, value)| !value.is_empty()).collect();
    let mut params = Params { pairs, problems: Vec::new() };
    let with_nul = params.pairs.extract_if(.., |(_, value)| value.contains('\0'));
    let problem = |name: String| Problem::at(&["query", &name], "it may not contain NUL");
    params.problems = with_nul.map(|(name, _)| problem(name)).collect();
    let read = T::read(&mut params);
    if params.problems.is_empty() { Ok(read) } else { Err(Error::Invalid(params.problems)) }
}

/// `event_types` of `event_types[]` and `event_types[1]`.
fn plain(name: &str) -> &str {
    match name.split_once('[') {
        Some((plain, rest)) if rest.ends_with(']') => plain,
        _ => name,
    }
}

/// The names and values of a query string, and what is wrong with them.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Params {
    /// The last value of this name.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.pairs.iter().rfind(|(other, _)| other == name).map(|(_, value)| value.clone())
    }

    /// All values of this name.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.pairs.iter().filter(|(other, _)| other == name);
        let parts = values.flat_map(|(_, value)| value.split(','));
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => self.wrong(name, "it is either true or false"),
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.text(name)?;
        value.parse().ok().or_else(|| self.wrong(name, "it is a whole number"))
    }

    /// A time; one without an offset is taken as UTC.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.text(name)?;
        // A `+` that was not percent-encoded has become a blank.
        let spellings = [value.clone(), value.replace(' ', "+"), format!("{value}Z")];
        let time = spellings.iter().find_map(|spelling| spelling.parse().ok());
        time.or_else(|| self.wrong(name, "it is an RFC 3339 time"))
    }

    /// Notes that the value is wrong.
    pub(super) fn wrong<T>(&mut self, name: &str, what: impl ToString) -> Option<T> {
        self.problems.push(Problem::at(&["query", name], what));
        None
    }
}

/// Which page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// How many items, 1 to 250; 50 if not given.
    #[param(minimum = 1, maximum = 250)]
    limit: Option<usize>,
    /// The `iterator` or `prevIterator` of another page.
    iterator: Option<String>,
    /// Which way the list runs.
    #[param(inline)]
    order: Option<Ordering>,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Ordering {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

impl FromQuery for Paging {
    fn read(query: &mut Params) -> Paging {
        let limit = query.number("limit").and_then(|limit| {
            if (1..=LIMIT_MAX).contains(&limit) {
                Some(limit)
            } else {
                query.wrong("limit", format!("it is between 1 and {LIMIT_MAX}"))
            }
        });
        let order = query.text("order").and_then(|order| match order.as_str() {
            "ascending" => Some(Ordering::Ascending),
            "descending" => Some(Ordering::Descending),
            _ => query.wrong("order", "it is either ascending or descending"),
        });
        Paging { limit, iterator: query.text("iterator"), order }
    }
}

impl Paging {
    /// How many items.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// Which way, if not `default`.
    pub(super) fn order(&self, default: Order) -> Order {
        match self.order {
            None => default,
            Some(Ordering::Ascending) => Order::Ascending,
            Some(Ordering::Descending) => Order::Descending,
        }
    }

    /// What was sent as `iterator`.
    pub(super) fn iterator(&self) -> Option<&str> {
        self.iterator.as_deref()
    }

    /// The page of a list of things of `kind`.
    ///
    /// # Errors
    /// 422 when `iterator` is no id of this kind.
    pub(super) fn page(&self, kind: Kind, default: Order) -> Result<Page, Error> {
        let id = |text: &str| {
            Id::parse(kind, text).map_err(|what| Error::invalid("query", "iterator", what))
        };
        let from = match self.iterator.as_deref() {
            None => Position::Start,
            Some(text) => match text.strip_prefix('-') {
                Some(text) => Position::Before(id(text)?),
                None => Position::After(id(text)?),
            },
        };
        Ok(Page { limit: self.limit(), from, order: self.order(default) })
    }
}

#[cfg(test)]
mod tests {
    use ringback_domain::id::MessageId;

    use super::*;

    struct Everything {
        list: Vec<String>,
        flag: Option<bool>,
        time: Option<Timestamp>,
    }

    impl FromQuery for Everything {
        fn read(query: &mut Params) -> Everything {
            Everything {
                list: query.list("event_types"),
                flag: query.flag("with_content"),
                time: query.time("before"),
            }
        }
    }

    #[test]
    fn lists_in_every_spelling() {
        for text in [
            "event_types=a,b",
            "event_types=a&event_types=b",
            "event_types[]=a&event_types[]=b",
            "event_types%5B%5D=a&event_types%5B1%5D=b",
            "event_types[0]=a&event_types[1]=b&tag=",
            "unknown=1&event_types=a%2Cb",
        ] {
            let Ok(Everything { list, .. }) = parse(text) else { panic!("{text}") };
            assert_eq!(list, ["a", "b"], "{text}");
        }
    }

    #[test]
    fn times_in_every_spelling() {
        for text in [
            "before=2021-02-25T15:02:10.007Z",
            "before=2021-02-25T16:02:10.007%2B01:00",
            "before=2021-02-25T16:02:10.007+01:00",
            "before=2021-02-25T15:02:10.007",
            "before=2021-02-25T15:02:10.007000",
        ] {
            let Ok(Everything { time, .. }) = parse(text) else { panic!("{text}") };
            assert_eq!(time, Some(Timestamp(1_614_265_330_007)), "{text}");
        }
    }

    #[test]
    fn an_empty_value_is_none() {
        let Ok(Everything { list, flag, time }) = parse("event_types=&with_content=&before=")
        else {
            panic!("refused")
        };
        assert_eq!((list.len(), flag, time), (0, None, None));
    }

    #[test]
    fn a_nul_is_refused() {
        for text in ["event_types=a%00b", "event_types[]=a&event_types[]=%00", "other=%00"] {
            let Err(Error::Invalid(problems)) = parse::<Everything>(text) else { panic!("{text}") };
            assert_eq!(problems[0].loc[0], "query", "{text}");
        }
        assert!(parse::<Everything>("event_types=%2500").is_ok());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let Err(Error::Invalid(problems)) = parse::<Everything>("with_content=maybe&before=soon")
        else {
            panic!("accepted")
        };
        let locs: Vec<_> = problems.iter().map(|problem| problem.loc.join(".")).collect();
        assert_eq!(locs, ["query.with_content", "query.before"]);
    }

    #[test]
    fn pages() {
        let id = Id { key: 5 << 20, shard: 0, nonce: 9 };
        let text = MessageId(id).to_string();
        let check = |query: &str| {
            let page = parse::<Paging>(query)?.page(Kind::Message, Order::Descending)?;
            Ok::<_, Error>((page.limit, page.from, page.order))
        };
        assert_eq!(check(""), Ok((50, Position::Start, Order::Descending)));
        assert_eq!(
            check(&format!("limit=250&iterator={text}&order=ascending")),
            Ok((250, Position::After(id), Order::Ascending))
        );
        let before = Ok((50, Position::Before(id), Order::Descending));
        assert_eq!(check(&format!("iterator=-{text}")), before);
        for (wrong, field) in [
            ("limit=0", "limit"),
            ("limit=251", "limit"),
            ("limit=-1", "limit"),
            ("limit=many", "limit"),
            ("order=random", "order"),
            ("iterator=ep_000000000000000000000000000", "iterator"),
            ("iterator=-nonsense", "iterator"),
        ] {
            let Err(Error::Invalid(problems)) = check(wrong) else { panic!("{wrong}") };
            assert_eq!(problems[0].loc, ["query", field], "{wrong}");
        }
    }
}
