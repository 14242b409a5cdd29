//! Filters by example: what every operator does, the situations that Hookdeck's matcher is tested
//! with, where this one differs on purpose, what is refused, what costs too much, and laws.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn compile(filter: &Value) -> Expression {
    Expression::compile(filter).unwrap_or_else(|mistake| panic!("{filter}: {mistake}"))
}

/// What a filter of the body says of a body.
fn judge(body: &Value, filter: &Value) -> Outcome {
    let body = body.to_string();
    let event = Event { body: body.as_bytes(), ..Event::default() };
    compile(&json!({ "body": filter })).judge(&event)
}

/// Checks rows of body, filter and expectation; each also the other way round, inside `$not`.
fn check(rows: &[(&str, &str, bool)]) {
    for (body, filter, expect) in rows {
        let [value, filter] = [body, filter].map(|text| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
        });
        let outcome = |expect| if expect { Outcome::Match } else { Outcome::NoMatch };
        assert_eq!(judge(&value, &filter), outcome(*expect), "{body} {filter}");
        let not = json!({ "$not": filter });
        assert_eq!(judge(&value, &not), outcome(!expect), "{body} {not}");
    }
}

/// The situations that the tests of Hookdeck's matcher (`simple-json-match` 1.3.0) cover, `$ref`
/// and `$not` included, in words and values of our own, with its answers.
#[test]
fn what_hookdeck_says() {
    // Equal values, nested ones, fields that are not spoken of.
    check(&[
        (r#"{"event":"paid"}"#, r#"{"event":"paid"}"#, true),
        (r#"{}"#, r#"{"event":"paid"}"#, false),
        (r#"{"event":"void"}"#, r#"{"event":"paid"}"#, false),
        (r#"{"event":7}"#, r#"{"event":"paid"}"#, false),
        (r#"{"event":7}"#, r#"{"event":7}"#, true),
        (r#"{"seats":3,"event":"paid"}"#, r#"{"seats":3}"#, true),
        (r#"{"seats":3,"event":"paid"}"#, r#"{"event":"paid","seats":3}"#, true),
        (r#"{"seats":3}"#, r#"{"seats":3,"event":"paid"}"#, false),
        (r#"{"buyer":{"city":"Oslo"}}"#, r#"{"buyer":{"city":"Oslo"}}"#, true),
        (r#"{"buyer":{"city":"Oslo"}}"#, r#"{"buyer":{"city":"Bergen"}}"#, false),
        (r#"{"buyer":{"city":"Oslo"}}"#, r#"{"buyer":4}"#, false),
        (r#"{"open":true}"#, r#"{"open":true}"#, true),
        (r#"{"open":true}"#, r#"{"open":false}"#, false),
        (r#"{"open":null}"#, r#"{"open":null}"#, true),
        (r#"{"open":null}"#, r#"{"open":false}"#, false),
        (r#"{"open":true}"#, "true", false),
        (r#""paid""#, r#""paid""#, true),
        ("4", "5", false),
        ("4", "4", true),
        (r#""/orders""#, r#""/orders""#, true),
        (r#""/orders""#, r#""/refunds""#, false),
        ("4", "{}", false),
        (r#"{"note":"left at door"}"#, r#"{"note":{"inner":"door"}}"#, false),
    ]);
    // Comparing.
    check(&[
        (r#"{"seats":2}"#, r#"{"seats":{"$lt":3}}"#, true),
        (r#"{"seats":4}"#, r#"{"seats":{"$lt":3}}"#, false),
        (r#"{"seats":4}"#, r#"{"seats":{"$eq":4}}"#, true),
        (r#"{"seats":4}"#, r#"{"seats":{"$neq":4}}"#, false),
        (r#"{"seats":4}"#, r#"{"seats":{"$gt":3,"$lt":5}}"#, true),
        (r#"{"seats":6}"#, r#"{"seats":{"$gt":3,"$lt":5}}"#, false),
        (r#"{"grade":"f"}"#, r#"{"grade":{"$gt":"m"}}"#, false),
        (r#"{"grade":"t"}"#, r#"{"grade":{"$gt":"m"}}"#, true),
        (r#"{"event":"paid"}"#, r#"{"event":{"$neq":"paid"}}"#, false),
        (r#"{"event":"paid"}"#, r#"{"event":{"$eq":"paid"}}"#, true),
        (r#"{"open":null}"#, r#"{"open":{"$eq":null}}"#, true),
        (r#"{"open":null}"#, r#"{"open":{"$neq":null}}"#, false),
        ("9", r#"{"$gte":9}"#, true),
    ]);
    // Arrays.
    check(&[
        (r#"{"labels":["new","hot"]}"#, r#"{"labels":"hot"}"#, true),
        (r#"{"labels":["new","hot"]}"#, r#"{"labels":"old"}"#, false),
        (r#"{"lines":[{"isbn":"12"}]}"#, r#"{"lines":{"isbn":"12"}}"#, true),
        (r#"{"lines":[{"isbn":"12"}]}"#, r#"{"lines":{"isbn":"2"}}"#, false),
        (r#"{"lines":[{"left":3},{"left":20}]}"#, r#"{"lines":{"left":{"$lte":5}}}"#, true),
        (r#"{"lines":[{"left":6},{"left":20}]}"#, r#"{"lines":{"left":{"$lte":5}}}"#, false),
        (r#"{"labels":["new","hot","red"]}"#, r#"{"labels":["hot","new"]}"#, true),
        (r#"{"labels":["new","hot","red"]}"#, r#"{"labels":["hot","old"]}"#, false),
        (r#"{"labels":["new","hot"]}"#, r#"{"labels":{"$eq":["new","hot"]}}"#, true),
        (r#"{"labels":["new","hot","red"]}"#, r#"{"labels":{"$eq":["new","hot"]}}"#, false),
        ("[7,8,9]", "9", true),
        ("[7,8,9]", "6", false),
        ("[7,8,9]", r#"[{"$eq":9}]"#, true),
        ("[7,8,9]", r#"[{"$eq":6}]"#, false),
        ("[7,8,9]", r#"{"$eq":9}"#, false),
        (r#"{"labels":["new","hot"]}"#, r#"{"labels":{"$nin":"hot"}}"#, false),
    ]);
    // Texts and lists.
    check(&[
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$startsWith":"eu"}}"#, true),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$endsWith":"eu"}}"#, false),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$endsWith":"red"}}"#, true),
        (r#"{"sku":{"inner":1}}"#, r#"{"sku":{"$startsWith":"eu"}}"#, false),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$startsWith":["eu-","uk-"]}}"#, true),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$startsWith":["us-","uk-"]}}"#, false),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$endsWith":["eu","blue"]}}"#, false),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$endsWith":["red","blue"]}}"#, true),
        (r#"{"sku":"eu-1-red","n":5}"#, r#"{"sku":{"$in":"-1-"},"n":{"$in":[5,6]}}"#, true),
        (
            r#"{"sku":"eu-1-red","n":5}"#,
            r#"{"sku":{"$in":["eu-1-red","x"]},"n":{"$in":[5]}}"#,
            true,
        ),
        (r#"{"sku":"eu-1-red","n":5}"#, r#"{"sku":{"$in":["eu","red"]},"n":{"$nin":[5]}}"#, false),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$in":"red"}}"#, true),
        (r#"{"sku":"eu-1-red"}"#, r#"{"sku":{"$nin":"red"}}"#, false),
        (r#"{"n":5}"#, r#"{"n":{"$in":[5,6]}}"#, true),
        (r#"{"n":5}"#, r#"{"n":{"$nin":[5,6]}}"#, false),
    ]);
    // Whether a field is there.
    check(&[
        (r#"{"sku":"a"}"#, r#"{"sku":{"$exist":true}}"#, true),
        (r#"{"sku":"a"}"#, r#"{"sku":{"$exist":false}}"#, false),
        (r#"{"isbn":"a"}"#, r#"{"sku":{"$exist":true}}"#, false),
        (r#"{"isbn":"a"}"#, r#"{"sku":{"$exist":false}}"#, true),
        (r#"{"p":{"sku":"a"}}"#, r#"{"p":{"sku":{"$exist":true,"$or":["a","b"]}}}"#, true),
        (r#"{"p":{"sku":"c"}}"#, r#"{"p":{"sku":{"$exist":true,"$or":["a","b"]}}}"#, false),
        (r#"{"p":{"sku":"abc"}}"#, r#"{"p":{"sku":{"$exist":true,"$in":"bc"}}}"#, true),
        (r#"{"p":{"sku":"abc"}}"#, r#"{"p":{"sku":{"$exist":true,"$in":"x"}}}"#, false),
        (r#"{"p":{"q":{"sku":"a"}}}"#, r#"{"p":{"q":{"sku":{"$exist":true}}}}"#, true),
        (r#"{"p":{"q":{"sku":"a"}}}"#, r#"{"p":{"q":{"sku":{"$exist":false}}}}"#, false),
        (r#"{"p":{"q":{"isbn":"a"}}}"#, r#"{"p":{"q":{"sku":{"$exist":false}}}}"#, true),
        (r#"{"p":{"q":{"isbn":"a"}}}"#, r#"{"p":{"q":{"sku":{"$exist":true}}}}"#, false),
    ]);
    // One of several, all of several.
    check(&[
        (r#"{"open":true}"#, r#"{"$or":[{"open":true}]}"#, true),
        (r#"{"open":true}"#, r#"{"$or":[{"open":false}]}"#, false),
        (r#"{"open":true}"#, r#"{"$and":[{"open":true}]}"#, true),
        (r#"{"p":{"sku":"abc"}}"#, r#"{"p":{"$or":[{"sku":1},{"sku":{"$in":"b"}}]}}"#, true),
        (r#"{"p":{"sku":"abc"}}"#, r#"{"p":{"$or":[{"sku":1},{"sku":{"$in":"x"}}]}}"#, false),
        ("4", r#"{"$or":[4,5]}"#, true),
        ("4", r#"{"$or":[5,6]}"#, false),
        ("4", r#"{"$and":[4,5]}"#, false),
        (
            r#"{"p":{"sku":"abc"}}"#,
            r#"{"p":{"$and":[{"sku":{"$neq":null}},{"sku":{"$in":"b"}}]}}"#,
            true,
        ),
        (
            r#"{"p":{"sku":null}}"#,
            r#"{"p":{"$and":[{"sku":{"$neq":null}},{"sku":{"$in":"b"}}]}}"#,
            false,
        ),
        (
            r#"{"p":{"sku":"a","lot":"z"}}"#,
            r#"{"p":{"sku":{"$exist":true,"$or":["a","b"]},"$and":[{"sku":"a"},{"lot":"z"}]}}"#,
            true,
        ),
        (
            r#"{"p":{"sku":"a","lot":"z"}}"#,
            r#"{"p":{"sku":{"$exist":true,"$or":["b","c"]},"$and":[{"sku":"b"},{"lot":"y"}]}}"#,
            false,
        ),
    ]);
    let there = r#"{"p":{"sku":{"$exist":true}}}"#;
    let lot_there = r#"{"p":{"lot":{"$exist":true}}}"#;
    let lot_gone = r#"{"p":{"lot":{"$exist":false}}}"#;
    for (body, operator, left, right, expect) in [
        (r#"{"p":{"sku":"a"}}"#, "$or", there, r#"{"p":{"sku":"b"}}"#, true),
        (
            r#"{"p":{"sku":"a"}}"#,
            "$or",
            r#"{"p":{"sku":{"$exist":false}}}"#,
            r#"{"p":{"sku":"a"}}"#,
            true,
        ),
        (r#"{"p":{"lot":"z"}}"#, "$or", there, r#"{"p":{"lot":"z"}}"#, true),
        (r#"{"p":{"lot":"z"}}"#, "$or", there, r#"{"p":{"lot":"y"}}"#, false),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$or", there, r#"{"p":{"lot":"y"}}"#, true),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, r#"{"p":{"lot":"z"}}"#, true),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, r#"{"p":{"lot":"y"}}"#, false),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, r#"{"p":{"sku":"a"}}"#, true),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, r#"{"p":{"sku":"b"}}"#, false),
        (
            r#"{"p":{"sku":"a","lot":"z"}}"#,
            "$and",
            there,
            r#"{"p":{"sku":{"$exist":true,"$eq":"a"}}}"#,
            true,
        ),
        (
            r#"{"p":{"lot":"z"}}"#,
            "$and",
            r#"{"p":{}}"#,
            r#"{"p":{"sku":{"$exist":true,"$eq":"z"}}}"#,
            false,
        ),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, lot_there, true),
        (r#"{"p":{"sku":"a","lot":"z"}}"#, "$and", there, lot_gone, false),
        (r#"{"p":{"sku":"a"}}"#, "$and", there, lot_gone, true),
        (r#"{"p":{"sku":"a"}}"#, "$or", there, lot_gone, true),
        (r#"{"p":{"tag":"t"}}"#, "$or", there, lot_gone, true),
    ] {
        check(&[(body, &format!(r#"{{"{operator}":[{left},{right}]}}"#), expect)]);
    }
    // Not, beside the others.
    let body = r#"{"p":{"sku":"a","lot":"z"}}"#;
    let both = r#""$and":[{"p":{"sku":"a"}},{"p":{"lot":"z"}}]"#;
    let one = |first: &str, lot: &str| format!(r#""$or":[{first},{{"p":{{"lot":"{lot}"}}}}]"#);
    let tag = |there: bool| format!(r#"{{"p":{{"tag":{{"$exist":{there}}}}}}}"#);
    let and_tag = |there: bool| format!(r#""$and":[{},{{"p":{{"lot":"z"}}}}]"#, tag(there));
    for (not, beside, expect) in [
        (r#"{"p":{"sku":"b"}}"#, both.to_owned(), true),
        (r#"{"p":{"sku":"a"}}"#, both.to_owned(), false),
        (there, both.to_owned(), false),
        (r#"{"p":{"sku":{"$exist":false}}}"#, both.to_owned(), true),
        (r#"{"p":{"sku":{"$exist":false}}}"#, and_tag(false), true),
        (r#"{"p":{"sku":{"$exist":false}}}"#, and_tag(true), false),
        (r#"{"p":{"sku":"b"}}"#, one(&tag(true), "z"), true),
        (r#"{"p":{"sku":"a"}}"#, one(&tag(true), "z"), false),
        (r#"{"p":{"sku":"a"}}"#, one(&tag(false), "z"), false),
        (r#"{"p":{"sku":"a"}}"#, one(&tag(false), "y"), false),
        (r#"{"p":{"sku":"b"}}"#, one(&tag(true), "y"), false),
        (r#"{"p":{"sku":"b"}}"#, one(&tag(false), "z"), true),
    ] {
        check(&[(body, &format!(r#"{{"$not":{not},{beside}}}"#), expect)]);
    }
    // References.
    check(&[
        (r#"{"paid":true,"sent":true}"#, r#"{"sent":{"$ref":"paid"}}"#, true),
        (r#"{"paid":true,"sent":false}"#, r#"{"sent":{"$ref":"paid"}}"#, false),
        (r#"{"min":3,"n":4}"#, r#"{"n":{"$gt":{"$ref":"min"}}}"#, true),
        (r#"{"labels":["new","hot"],"main":"hot"}"#, r#"{"labels":{"$ref":"main"}}"#, true),
        (r#"{"labels":["new","hot"],"main":"hot"}"#, r#"{"main":{"$ref":"labels[1]"}}"#, true),
        (r#"{"old":{"ok":true},"now":{"ok":true}}"#, r#"{"now":{"ok":{"$ref":"old.ok"}}}"#, true),
        (
            r#"{"lines":[{"n":4,"max":3},{"n":4,"max":4}]}"#,
            r#"{"lines":{"n":{"$eq":{"$ref":"lines[$index].max"}}}}"#,
            true,
        ),
        (
            r#"{"lines":[{"n":4,"max":3},{"n":4,"max":4}]}"#,
            r#"{"$or":[{"lines":{"n":{"$eq":{"$ref":"lines[$index].max"}}}}]}"#,
            true,
        ),
        (
            r#"{"boxes":[{"lines":[{"n":4,"max":4}]},{"lines":[{"n":2,"max":4}]}]}"#,
            r#"{"boxes":{"lines":{"n":{"$ref":"boxes[$index].lines[$index].max"}}}}"#,
            true,
        ),
        (
            r#"{"boxes":[{"lines":[{"n":4,"max":5}]},{"lines":[{"n":2,"max":4}]}]}"#,
            r#"{"boxes":{"lines":{"n":{"$ref":"boxes[$index].lines[$index].max"}}}}"#,
            false,
        ),
        (r#"[{"n":4,"max":3},{"n":4,"max":4}]"#, r#"{"n":{"$eq":{"$ref":"[$index].max"}}}"#, true),
        (
            r#"{"now":{"city":"Oslo"},"old":{"city":"Bergen"}}"#,
            r#"{"now":{"$and":[{"city":{"$neq":null}},{"city":{"$neq":{"$ref":"old.city"}}}]}}"#,
            true,
        ),
    ]);
}

/// Where this matcher answers otherwise than Hookdeck's, on purpose: body, filter, our answer (its
/// answer is the opposite), why.
const DIFFERENCES: &[(&str, &str, bool, &str)] = &[
    (r#"{"n":"1"}"#, r#"{"n":1}"#, false, "no coercion"),
    (r#"{"n":true}"#, r#"{"n":1}"#, false, "no coercion"),
    (r#"{"n":"10"}"#, r#"{"n":{"$gt":9}}"#, false, "no order between types"),
    (r#"{"a":"[1]"}"#, r#"{"a":{"$eq":[1]}}"#, false, "a text is no array"),
    (
        r#"{"n":9007199254740993}"#,
        r#"{"n":9007199254740992}"#,
        false,
        "integers are exact, where JavaScript has doubles",
    ),
    (r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"$eq":{"y":2,"x":1}}}"#, true, "no order of keys"),
    (r#"{}"#, r#"{"a":{"$neq":1}}"#, true, "what is missing is not equal"),
    (r#"{}"#, r#"{"a":{"$nin":[1]}}"#, true, "what is missing is in no list"),
    (r#"{}"#, r#"{"a":{"$not":1}}"#, true, "`$not` is the opposite of its filter, everywhere"),
    (r#"{"a":"y"}"#, r#"{"a":{"$not":{"$in":["x"]}}}"#, true, "`$not` of a value"),
    (r#"{"a":["y"]}"#, r#"{"a":{"$not":"x"}}"#, true, "`$not` of an array"),
    (
        r#"{"a":[{"b":1},{"b":2}]}"#,
        r#"{"a":{"$not":{"b":1}}}"#,
        false,
        "`$not` of an array is about all of it: no element is so",
    ),
    (r#"{"a":1}"#, r#"{"a":{"$or":[1,2],"$gt":5}}"#, false, "what stands beside `$or` counts"),
    (r#"{"a":{"b":2}}"#, r#"{"a":{"$exist":true,"b":1}}"#, false, "fields beside operators count"),
    (r#"{"a":{}}"#, r#"{"a":{"$nin":"x"}}"#, true, "`$nin` is the opposite of `$in`, everywhere"),
    (r#"{"a":["y"]}"#, r#"{"a":{"$nin":"x"}}"#, true, "likewise for arrays"),
    (r#"{"a":["x","y"]}"#, r#"{"a":{"$in":"x"}}"#, true, "`$in` finds a value in an array"),
    (r#"{"a":["x","y"]}"#, r#"{"a":{"$in":["y","z"]}}"#, true, "one of these in an array"),
    (r#"{"a":true}"#, r#"{"a":{"$in":[true]}}"#, true, "any plain value can be in a list"),
    (r#"{"a":5}"#, r#"{"a":{"$in":5}}"#, true, "a single value is a list of one"),
    (r#"{"a":null}"#, r#"{"a":{"$ref":"b"}}"#, false, "what is missing is not null"),
    (
        r#"{"a":1,"b":{"$gt":0}}"#,
        r#"{"a":{"$ref":"b"}}"#,
        false,
        "what a message says is never an operator",
    ),
    ("{\"a\":\"\u{10000}\"}", "{\"a\":{\"$gt\":\"\u{ff61}\"}}", true, "texts by code points"),
];

#[test]
fn differences() {
    for (body, filter, ours, why) in DIFFERENCES {
        assert!(!why.is_empty());
        check(&[(body, filter, *ours)]);
    }
}

#[test]
fn fixed_semantics() {
    check(&[
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false),
        (r#"{"a":null}"#, r#"{"a":{"$exist":false}}"#, false),
        (r#"{"a":"x"}"#, r#"{"a":{"$not":{"$in":["x"]}}}"#, false),
        // Missing matches only what speaks of absence.
        ("{}", r#"{"a":null}"#, false),
        ("{}", r#"{"a":{}}"#, false),
        ("{}", r#"{"a":[]}"#, false),
        ("{}", r#"{"a":{"$eq":null}}"#, false),
        ("{}", r#"{"a":{"$lt":5}}"#, false),
        ("{}", r#"{"a":{"$in":"x"}}"#, false),
        ("{}", r#"{"a":{"$regex":""}}"#, false),
        ("{}", r#"{"a":{"b":{"$exist":false}}}"#, false),
        ("{}", r#"{"a":{"$or":["x",{"$exist":false}]}}"#, true),
        ("{}", r#"{"a":{"$and":[{"$exist":false},{"$neq":1}]}}"#, true),
        // Types.
        (r#"{"a":1}"#, r#"{"a":1.0}"#, true),
        (r#"{"a":1}"#, r#"{"a":{"$neq":"1"}}"#, true),
        (r#"{"a":18446744073709551615}"#, r#"{"a":18446744073709551614}"#, false),
        (r#"{"a":18446744073709551615}"#, r#"{"a":{"$gt":18446744073709551614}}"#, true),
        (r#"{"a":0.1}"#, r#"{"a":{"$gte":0.1,"$lte":0.1}}"#, true),
        // `{}` is any object.
        (r#"{"a":{"b":1}}"#, r#"{"a":{}}"#, true),
        (r#"{"a":1}"#, r#"{"a":{}}"#, false),
        (r#"{"a":[1]}"#, r#"{"a":{}}"#, false),
        (r#"{"a":[{}]}"#, r#"{"a":{}}"#, true),
        // One element has to satisfy all fields.
        (r#"{"a":[{"x":1,"y":1},{"x":2,"y":2}]}"#, r#"{"a":{"x":1,"y":2}}"#, false),
        (r#"{"a":[{"x":1,"y":1},{"x":2,"y":2}]}"#, r#"{"a":[{"x":1},{"y":2}]}"#, true),
        (r#"{"a":[{"x":1},{"y":2}]}"#, r#"{"a":{"$and":[{"x":1},{"y":2}]}}"#, false),
        (r#"{"a":[1,9]}"#, r#"{"a":{"$or":[{"$gt":8}]}}"#, true),
        (r#"{"a":[[1],[2,3]]}"#, r#"{"a":3}"#, true),
        (r#"{"a":[1,[2]]}"#, r#"{"a":[{"$eq":[2]}]}"#, true),
        (r#"{"a":[]}"#, r#"{"a":[]}"#, true),
        (r#"{"a":1}"#, r#"{"a":[1]}"#, false),
        // A name with a dollar is out of a filter's reach, but not out of `$eq`'s.
        (r#"{"_id":{"$oid":"5f"}}"#, r#"{"_id":{"$eq":{"$oid":"5f"}}}"#, true),
        (r#"{"a":{"$ref":"b","x":1}}"#, r#"{"a":{"$eq":{"$ref":"b","x":1}}}"#, true),
        // References to arrays and objects.
        (r#"{"a":[1,2,3],"b":[3,1]}"#, r#"{"a":{"$ref":"b"}}"#, true),
        (r#"{"a":[1,2,3],"b":[3,4]}"#, r#"{"a":{"$ref":"b"}}"#, false),
        (r#"{"a":{"x":1,"y":2},"b":{"y":2}}"#, r#"{"a":{"$ref":"b"}}"#, true),
        (r#"{"a":"x","b":["x","y"]}"#, r#"{"a":{"$in":{"$ref":"b"}}}"#, true),
        (r#"{"a":"xy","b":"x"}"#, r#"{"a":{"$startsWith":{"$ref":"b"}}}"#, true),
        (r#"{"a":1}"#, r#"{"a":{"$neq":{"$ref":"b"}}}"#, true),
        // Regular expressions search; anchors bind.
        (r#"{"a":"order-17"}"#, r#"{"a":{"$regex":"\\d+$"}}"#, true),
        (r#"{"a":"order-17"}"#, r#"{"a":{"$regex":"^\\d"}}"#, false),
        (r#"{"a":"ÅRHUS"}"#, r#"{"a":{"$regex":"(?i)^år"}}"#, true),
        (r#"{"a":["x1"]}"#, r#"{"a":{"$regex":"x"}}"#, false),
        (r#"{"a":["x1"]}"#, r#"{"a":[{"$regex":"x"}]}"#, true),
        (r#"{"a":1}"#, r#"{"a":{"$regex":"1"}}"#, false),
    ]);
}

#[test]
fn parts() {
    let headers: Vec<_> = [("X-Shop", "eu-1"), ("accept", "a"), ("Accept", "b")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let event = Event {
        headers: &headers,
        content_type: None,
        body: br#"{"type":"paid"}"#,
        target: Some("/orders?dry=1&tag=a&tag=b%20c"),
    };
    let nothing = Event::default();
    let form = Event {
        content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
        body: b"Body=hi+there&To=%2B47",
        ..nothing
    };
    let xml = Event { content_type: Some("text/xml"), body: b"<order id='7'/>", ..nothing };
    let binary = Event { body: b"\xff\x00", ..nothing };
    for (event, filter, expect) in [
        (event, json!({}), true),
        (event, json!({"body": {"type": "paid"}, "headers": {"x-shop": "eu-1"}}), true),
        (event, json!({"body": {"type": "void"}, "headers": {"x-shop": "eu-1"}}), false),
        (event, json!({"headers": {"X-SHOP": {"$startsWith": "eu"}}}), true),
        (event, json!({"headers": {"$or": [{"X-Shop": "us"}, {"X-sHOP": "eu-1"}]}}), true),
        (event, json!({"headers": {"$not": {"X-Shop": "eu-1"}}}), false),
        (event, json!({"headers": {"accept": ["a", "b"]}}), true),
        (event, json!({"headers": {"accept": {"$ref": "X-Shop"}}}), false),
        (event, json!({"headers": {"X-Shop": {"$ref": "X-SHOP"}}}), true),
        (event, json!({"query": {"dry": "1", "tag": "b c"}}), true),
        (event, json!({"query": {"dry": 1}}), false),
        (event, json!({"path": "/orders"}), true),
        (event, json!({"path": {"$startsWith": "/ord"}}), true),
        (event, json!({"$or": [{"path": "/x"}, {"body": {"type": "paid"}}]}), true),
        (event, json!({"$and": [{"path": "/x"}, {"body": {"type": "paid"}}]}), false),
        (event, json!({"$not": {"path": "/x"}, "body": {"type": "paid"}}), true),
        (event, json!({"$not": {"body": {"type": "paid"}}}), false),
        (nothing, json!({"headers": {"x": {"$exist": false}}}), true),
        (nothing, json!({"query": {"x": {"$exist": false}}}), true),
        (nothing, json!({"path": {"$exist": false}}), true),
        (nothing, json!({"body": {"$exist": false}}), true),
        (nothing, json!({"path": "/"}), false),
        (form, json!({"body": {"Body": "hi there", "To": "+47"}}), true),
        (xml, json!({"body": {"$in": "id='7'"}}), true),
        (xml, json!({"body": {"$regex": "^<order "}}), true),
        (binary, json!({"body": {"$exist": true}}), false),
    ] {
        let expect = if expect { Outcome::Match } else { Outcome::NoMatch };
        assert_eq!(compile(&filter).judge(&event), expect, "{filter}");
    }
}

/// Acceptance case 16: a field that the payload lacks is not passed over.
#[test]
fn case_16_what_is_missing_does_not_match() {
    check(&[(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false)]);
}

/// Acceptance case 17: `$not` works on a scalar.
#[test]
fn case_17_not_works_at_every_level() {
    let filter = r#"{"status":{"$not":{"$in":["x"]}}}"#;
    check(&[(r#"{"status":"y"}"#, filter, true), (r#"{"status":"x"}"#, filter, false)]);
}

/// Acceptance case 18: no value is turned into another type.
#[test]
fn case_18_types_are_kept_apart() {
    check(&[(r#"{"n":"1"}"#, r#"{"n":1}"#, false), (r#"{"n":1}"#, r#"{"n":1}"#, true)]);
}

/// Acceptance case 19: a scalar matches an array that has it.
#[test]
fn case_19_an_array_matches_by_an_element() {
    check(&[(r#"{"t":["u","s"]}"#, r#"{"t":"u"}"#, true)]);
}

/// Acceptance case 20: what cannot be judged is refused when it is saved.
#[test]
fn case_20_unknown_operators_and_depth_are_refused() {
    let wrong = |body: Value| Expression::compile(&json!({ "body": body })).unwrap_err().wrong;
    assert!(matches!(wrong(json!({ "$foo": 1 })), Wrong::Operator(_)));
    let deep = (1..17).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert_eq!(wrong(deep), Wrong::Depth);
}

/// Acceptance case 21: `$exist` tells what is missing from what is null.
#[test]
fn case_21_null_exists() {
    let filter = r#"{"x":{"$exist":false}}"#;
    check(&[("{}", filter, true), (r#"{"x":null}"#, filter, false)]);
}

#[test]
fn mistakes_name_their_place() {
    for (filter, expect) in [
        ("{", "not JSON: EOF while parsing an object at line 1 column 1 (at the top)"),
        ("[]", "expected an object with `headers`, `body`, `query` or `path` (at the top)"),
        (
            r#"{"bodi":{}}"#,
            "unknown part `bodi`: a filter looks at `headers`, `body`, `query` and `path` (at \
             /bodi)",
        ),
        (
            r#"{"$or":[{"$gt":1}]}"#,
            "`$gt` belongs inside `headers`, `body`, `query` or `path` (at /$or/0/$gt)",
        ),
        (
            r#"{"$not":3}"#,
            "expected an object with `headers`, `body`, `query` or `path` (at /$not)",
        ),
        (
            r#"{"body":{"a":[{"$foo":1}]}}"#,
            "unknown operator `$foo`: there are $eq, $neq, $gt, $gte, $lt, $lte, $in, $nin, \
             $startsWith, $endsWith, $regex, $exist, $ref, $and, $or and $not (at \
             /body/a/0/$foo)",
        ),
        (
            r#"{"body":{"a/b":{"~":{"$gt":true}}}}"#,
            "`$gt` takes a number or a text (at /body/a~1b/~0/$gt)",
        ),
        (r#"{"body":{"$gte":[1]}}"#, "`$gte` takes a number or a text (at /body/$gte)"),
        (
            r#"{"body":{"$in":{"a":1}}}"#,
            "`$in` takes a value or an array of values, none of them nested (at /body/$in)",
        ),
        (
            r#"{"body":{"$nin":[[1]]}}"#,
            "`$nin` takes a value or an array of values, none of them nested (at /body/$nin)",
        ),
        (
            r#"{"body":{"$startsWith":["a",1]}}"#,
            "`$startsWith` takes a text or an array of texts (at /body/$startsWith)",
        ),
        (r#"{"body":{"$exist":"yes"}}"#, "`$exist` takes true or false (at /body/$exist)"),
        (r#"{"body":{"$or":[]}}"#, "`$or` takes an array with at least one filter (at /body/$or)"),
        (r#"{"$and":{}}"#, "`$and` takes an array with at least one filter (at /$and)"),
        (r#"{"body":{"$regex":7}}"#, "`$regex` takes a text (at /body/$regex)"),
        (r#"{"body":{"$regex":"a("}}"#, "no regular expression: unclosed group (at /body/$regex)"),
        (
            r#"{"body":{"$regex":"(?=a)"}}"#,
            "no regular expression: look-around, including look-ahead and look-behind, is not \
             supported (at /body/$regex)",
        ),
        (
            r#"{"body":{"$regex":"(\\w{100}){100}"}}"#,
            "no regular expression: it takes more than 65536 bytes (at /body/$regex)",
        ),
        (
            r#"{"body":{"a":{"$ref":{"bad":"path"}}}}"#,
            "`$ref` takes a path such as `order.items[0].sku` (at /body/a/$ref)",
        ),
        (
            r#"{"body":{"a":{"$gt":{"$ref":"a."}}}}"#,
            "`$ref` takes a path such as `order.items[0].sku` (at /body/a/$gt/$ref)",
        ),
        (
            r#"{"body":{"id":18446744073709551616}}"#,
            "a number of more than 64 bits cannot be compared exactly (at /body/id)",
        ),
    ] {
        let mistake = Expression::parse(filter).map(drop).unwrap_err();
        assert_eq!(mistake.to_string(), expect, "{filter}");
    }
}

#[test]
fn limits() {
    let wrong = |filter: Value| Expression::compile(&filter).map(drop).map_err(|it| it.wrong);
    let nested = |levels: usize| {
        let body = (2..=levels).fold(json!(1), |inner, _| json!({ "a": inner }));
        wrong(json!({ "body": body }))
    };
    assert_eq!(nested(DEPTH), Ok(()));
    assert_eq!(nested(DEPTH + 1), Err(Wrong::Depth));
    // The filter, the body, the list and its values.
    let values = |count: usize| wrong(json!({"body": {"$in": vec![1; count - 3]}}));
    assert_eq!(values(NODES), Ok(()));
    assert_eq!(values(NODES + 1), Err(Wrong::Nodes));
    let text = |length: usize| wrong(json!({"body": "a".repeat(length - r#"{"body":""}"#.len())}));
    assert_eq!(text(LENGTH), Ok(()));
    assert_eq!(text(LENGTH + 1), Err(Wrong::Length));
}

#[test]
fn overruns() {
    let long = "a".repeat(1_000_000);
    for (body, filter, expect) in [
        (json!({"a": vec![1; 40_000]}), json!({"a": 2}), Outcome::NoMatch),
        (json!({"a": vec![1; 60_000]}), json!({"a": 2}), Outcome::Overrun),
        // What was found in time is a match, however much is left.
        (json!({"a": vec![1; 60_000]}), json!({"a": 1}), Outcome::Match),
        (json!({"a": vec![1; 60_000]}), json!({"$not": {"a": 2}}), Outcome::Overrun),
        (json!({"a": vec![1; 2_000]}), json!({"a": {"$in": vec![2; 100]}}), Outcome::Overrun),
        (json!({"a": vec![1; 60_000]}), json!({"a": {"$in": 2}}), Outcome::NoMatch),
        (json!({"a": long}), json!({"a": {"$in": "b"}}), Outcome::NoMatch),
        (json!({"a": long}), json!({"a": {"$regex": "b"}}), Outcome::Overrun),
        (json!({"a": vec![&long; 4]}), json!({"a": [{"$regex": "b"}]}), Outcome::Overrun),
    ] {
        assert_eq!(judge(&body, &filter), expect, "{filter}");
    }
    // A body that is not even read.
    let huge = vec![b' '; BODY_BYTES + 1];
    let deep = "[".repeat(200) + &"]".repeat(200);
    for body in [&huge, deep.as_bytes()] {
        let event = Event { body, ..Event::default() };
        assert_eq!(compile(&json!({"body": 1})).judge(&event), Outcome::Overrun);
        assert_eq!(compile(&json!({"headers": {}})).judge(&event), Outcome::Match);
    }
    // A regular expression that takes others forever.
    let event = json!({"a": "a".repeat(10_000) + "!"});
    assert_eq!(judge(&event, &json!({"a": {"$regex": "^(a+)+$"}})), Outcome::NoMatch);
}

/// Any JSON; names and values few enough to meet.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3i64).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(1.0)].prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Any filter of a value.
fn any_filter() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![(-2..3i64).prop_map(Value::from), "[ab]{0,2}".prop_map(Value::from)];
    let leaf = prop_oneof![
        any_json(),
        any_json().prop_map(|value| json!({ "$eq": value })),
        any_json().prop_map(|value| json!({ "$neq": value })),
        (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte", "$in", "$nin"]), scalar)
            .prop_map(|(operator, value)| json!({ operator: value })),
        (prop::sample::select(vec!["$startsWith", "$endsWith", "$regex"]), "[ab]{0,2}")
            .prop_map(|(operator, value)| json!({ operator: value })),
        any::<bool>().prop_map(|exist| json!({ "$exist": exist })),
        prop::sample::select(vec!["a", "a.b", "b[0]", "a[$index]"])
            .prop_map(|path| json!({ "$ref": path })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            inner.clone().prop_map(|filter| json!({ "$not": filter })),
            (prop::sample::select(vec!["$or", "$and"]), list)
                .prop_map(|(operator, filters)| json!({ operator: filters })),
            prop::collection::btree_map("[abc]", inner.clone(), 1..3).prop_map(|map| json!(map)),
            ("[abc]", inner.clone(), inner)
                .prop_map(|(name, field, not)| json!({ name: field, "$not": not })),
        ]
    })
}

fn matches(body: &Value, filter: &Value) -> bool {
    match judge(body, filter) {
        Outcome::Match => true,
        Outcome::NoMatch => false,
        Outcome::Overrun => panic!("{filter} of {body} costs too much"),
    }
}

proptest! {
    #[test]
    fn a_value_matches_itself(value in any_json()) {
        let [equal, unequal] = ["$eq", "$neq"].map(|operator| json!({ operator: value }));
        prop_assert!(matches(&value, &value));
        prop_assert!(matches(&value, &equal));
        prop_assert!(!matches(&value, &unequal));
    }

    #[test]
    fn not_is_the_opposite(body in any_json(), filter in any_filter()) {
        let not = json!({ "$not": filter });
        prop_assert_ne!(matches(&body, &filter), matches(&body, &not));
        // Of a field too, whether it is there or not.
        let [field, not] = [filter, not].map(|filter| json!({ "a": filter }));
        if body.is_object() {
            prop_assert_ne!(matches(&body, &field), matches(&body, &not));
        }
    }

    #[test]
    fn opposites(body in any_json(), value in any_json(), scalar in "[ab]{0,2}") {
        for (operator, opposite, operand) in
            [("$eq", "$neq", &value), ("$in", "$nin", &Value::from(scalar))]
        {
            let one = matches(&body, &json!({ operator: operand }));
            prop_assert_ne!(one, matches(&body, &json!({ opposite: operand })));
        }
    }

    #[test]
    fn equality_has_no_direction(left in any_json(), right in any_json()) {
        let equal = |a: &Value, b: &Value| matches(a, &json!({ "$eq": b }));
        prop_assert_eq!(equal(&left, &right), equal(&right, &left));
    }

    #[test]
    fn and_or_beside(body in any_json(), left in any_filter(), right in any_filter()) {
        // In an array both may be said of different elements.
        let body = if body.is_array() { json!({ "a": body }) } else { body };
        let [l, r] = [&left, &right].map(|filter| matches(&body, filter));
        prop_assert_eq!(matches(&body, &json!({ "$and": [left, right] })), l && r);
        prop_assert_eq!(matches(&body, &json!({ "$or": [left, right] })), l || r);
        // Beside each other: `not (not left)` and `right`.
        let beside = json!({ "$not": { "$not": left }, "$and": [right] });
        prop_assert_eq!(matches(&body, &beside), l && r);
    }

    #[test]
    fn what_no_filter_speaks_of_changes_nothing(body in any_json(), filter in any_filter()) {
        // These two compare whole objects.
        if ["$eq", "$neq"].iter().any(|operator| filter.to_string().contains(operator)) {
            return Ok(());
        }
        let mut more = body.clone();
        let Some(fields) = more.as_object_mut() else { return Ok(()) };
        fields.insert("other".to_owned(), json!([1, "a"]));
        prop_assert_eq!(matches(&body, &filter), matches(&more, &filter));
    }

    #[test]
    fn the_order_of_keys_means_nothing(body in any_json(), filter in any_filter()) {
        let turned = turned(&json!({ "body": filter }));
        let body = body.to_string();
        let event = Event { body: body.as_bytes(), ..Event::default() };
        let expect = compile(&json!({ "body": filter })).judge(&event);
        prop_assert_eq!(Expression::parse(&turned).unwrap().judge(&event), expect);
    }

    #[test]
    fn nothing_panics(filter in any_junk(), body in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(expression) = Expression::compile(&json!({ "body": filter, "path": filter })) {
            let target = String::from_utf8_lossy(&body);
            let event = Event { body: &body, target: Some(&target), ..Event::default() };
            let _ = expression.judge(&event);
        }
    }
}

/// JSON with operators at places where they may not be.
fn any_junk() -> impl Strategy<Value = Value> {
    any_json().prop_recursive(3, 16, 3, |inner| {
        let name = prop::sample::select(vec![
            "$eq",
            "$gt",
            "$in",
            "$startsWith",
            "$exist",
            "$regex",
            "$ref",
            "$or",
            "$and",
            "$not",
            "$x",
            "a",
            "",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// The text of a value with the keys of every object in reverse.
fn turned(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(turned).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{}:{}", json!(name), turned(value));
            format!("{{{}}}", fields.iter().rev().map(field).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}
