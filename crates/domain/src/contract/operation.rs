//! The operations of a conversion.
//!
//! ```json
//! [{ "op": "rename", "path": "/data/created_at", "to": "creation_date" },
//!  { "op": "move", "from": "/data/customer/id", "to": "/data/customer_id" },
//!  { "op": "map_enum", "path": "/lines/[*]/state", "values": { "on_hold": "open" } }]
//! ```
//!
//! A path that leads to nothing is no mistake: fields may be optional, and what must be there the
//! schema of the older version says. `from` and `to` agree up to their last `[*]`: nothing moves from
//! one element to another.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    place::{Place, Step, visit},
    tree::{Tree, index, quoted},
};

/// The largest text that a conversion may make, in bytes.
pub(super) const BYTES: usize = 1024 * 1024;
/// How deep what it makes may be nested.
pub(super) const DEPTH: usize = 64;

/// One operation, ready to be used.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    Move { from: Place, to: Place },
    Copy { from: Place, to: Place },
    Remove(Place),
    Set(Place, Tree),
    Rename(Place, Box<str>),
    MapEnum { at: Place, values: BTreeMap<String, Tree>, otherwise: Option<Tree> },
    Wrap(Place, Option<Box<str>>),
    Unwrap(Place, Option<Box<str>>),
    ToString(Place),
    ToNumber(Place),
}

/// An operation as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Written {
    Move { from: String, to: String },
    Copy { from: String, to: String },
    Remove { path: String },
    Set { path: String, value: Value },
    Rename { path: String, to: String },
    MapEnum { path: String, values: BTreeMap<String, Value>, default: Option<Value> },
    Wrap { path: String, key: Option<String> },
    Unwrap { path: String, key: Option<String> },
    ToString { path: String },
    ToNumber { path: String },
}

/// Why an operation cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {what}")]
pub(super) struct Mistake {
    pub(super) field: &'static str,
    pub(super) what: String,
}

/// Why an operation cannot be done to a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{place}: {what}")]
    At { place: String, what: &'static str },
    #[error("it becomes longer than {BYTES} bytes")]
    Size,
    #[error("it becomes nested deeper than {DEPTH} levels")]
    Depth,
}

impl Operation {
    pub(super) fn new(written: Written) -> Result<Operation, Mistake> {
        let place = |field, text: &str| {
            Place::parse(text).map_err(|what| Mistake { field, what: what.to_string() })
        };
        let path = |text: &str| place("path", text);
        Ok(match written {
            Written::Move { from, to } => {
                let (from, to) = pair(place("from", &from)?, place("to", &to)?)?;
                if to.steps().starts_with(from.steps()) {
                    return Err(Mistake { field: "to", what: "it lies in what is moved".into() });
                }
                Operation::Move { from, to }
            }
            Written::Copy { from, to } => {
                let (from, to) = pair(place("from", &from)?, place("to", &to)?)?;
                Operation::Copy { from, to }
            }
            Written::Remove { path: at } => Operation::Remove(named(path(&at)?)?),
            Written::Set { path: at, value } => Operation::Set(path(&at)?, Tree::from(&value)),
            Written::Rename { path: at, to } => Operation::Rename(named(path(&at)?)?, to.into()),
            Written::MapEnum { path: at, values, default } => Operation::MapEnum {
                at: path(&at)?,
                values: values.iter().map(|(old, new)| (old.clone(), Tree::from(new))).collect(),
                otherwise: default.as_ref().map(Tree::from),
            },
            Written::Wrap { path: at, key } => Operation::Wrap(path(&at)?, key.map(Into::into)),
            Written::Unwrap { path: at, key } => Operation::Unwrap(path(&at)?, key.map(Into::into)),
            Written::ToString { path: at } => Operation::ToString(path(&at)?),
            Written::ToNumber { path: at } => Operation::ToNumber(path(&at)?),
        })
    }

    /// Does it to a payload.
    pub(super) fn apply(&self, tree: &mut Tree) -> Result<(), Failure> {
        // Whatever makes more of a payload has to fit into what is left.
        let mut room = BYTES.saturating_sub(tree.size());
        match self {
            Operation::Move { from, to: target } => {
                each_pair(tree, from, target, |tree, from, to| {
                    let Some(value) = take(tree, from) else { return Ok(()) };
                    put(tree, to, value, target)
                })
            }
            Operation::Copy { from, to: target } => {
                each_pair(tree, from, target, |tree, from, to| {
                    let Some(value) = find(tree, from).cloned() else { return Ok(()) };
                    spend(&mut room, &value)?;
                    put(tree, to, value, target)
                })
            }
            Operation::Remove(at) => {
                let (parent, last) = parent(at);
                visit(tree, parent, &mut |tree| {
                    remove(tree, last);
                    Ok(())
                })
            }
            Operation::Set(at, value) => {
                let (base, rest) = at.split();
                visit(tree, base, &mut |tree| {
                    spend(&mut room, value)?;
                    put(tree, rest, value.clone(), at)
                })
            }
            Operation::Rename(at, to) => {
                let (parent, last) = parent(at);
                visit(tree, parent, &mut |tree| {
                    rename(tree, last, to);
                    Ok(())
                })
            }
            Operation::MapEnum { at, values, otherwise } => visit(tree, at.steps(), &mut |tree| {
                let Some(text) = tree.as_text() else { return Ok(()) };
                if let Some(value) = values.get(&text).or(otherwise.as_ref()) {
                    spend(&mut room, value)?;
                    *tree = value.clone();
                }
                Ok(())
            }),
            Operation::Wrap(at, key) => visit(tree, at.steps(), &mut |tree| {
                let inner = std::mem::replace(tree, Tree::Array(Vec::new()));
                let extra = Tree::Scalar(key.clone().unwrap_or_default());
                spend(&mut room, &extra)?;
                *tree = match key {
                    Some(key) => Tree::Object(vec![(key.clone(), inner)]),
                    None => Tree::Array(vec![inner]),
                };
                Ok(())
            }),
            Operation::Unwrap(at, key) => visit(tree, at.steps(), &mut |tree| {
                let inner = match (&mut *tree, key) {
                    (Tree::Object(fields), Some(key)) => fields
                        .iter()
                        .position(|(name, _)| name == key)
                        .map(|it| fields.swap_remove(it).1),
                    (Tree::Array(items), None) if items.len() == 1 => items.pop(),
                    _ => None,
                };
                let what = "there is nothing to unwrap";
                *tree = inner.ok_or_else(|| Failure::At { place: at.to_string(), what })?;
                Ok(())
            }),
            Operation::ToString(at) => visit(tree, at.steps(), &mut |tree| match tree {
                Tree::Scalar(text) if text.starts_with('"') => Ok(()),
                Tree::Scalar(text) if &**text != "null" => {
                    *text = quoted(text).into();
                    Ok(())
                }
                _ => Err(Failure::At { place: at.to_string(), what: "it is no number" }),
            }),
            Operation::ToNumber(at) => visit(tree, at.steps(), &mut |tree| {
                let failed = || Failure::At { place: at.to_string(), what: "it is no number" };
                let text = match tree.as_text() {
                    Some(text) => text.trim().to_owned(),
                    None => match &*tree {
                        Tree::Scalar(text) => text.to_string(),
                        _ => return Err(failed()),
                    },
                };
                // Its digits stay, however many they are; only that they are a number is looked at.
                let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
                let number = begins && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                *tree = Tree::Scalar(Some(text).filter(|_| number).ok_or_else(failed)?.into());
                Ok(())
            }),
        }?;
        if tree.size() > BYTES {
            return Err(Failure::Size);
        }
        if tree.depth() > DEPTH {
            return Err(Failure::Depth);
        }
        Ok(())
    }
}

/// Both have the same `[*]`.
fn pair(from: Place, to: Place) -> Result<(Place, Place), Mistake> {
    if from.split().0 != to.split().0 {
        let what = "`from` and `to` are the same up to their last `[*]`".to_owned();
        return Err(Mistake { field: "to", what });
    }
    for (field, place) in [("from", &from), ("to", &to)] {
        if place.split().1.is_empty() {
            return Err(Mistake { field, what: "it ends with a name".to_owned() });
        }
    }
    Ok((from, to))
}

/// It ends with a name or an index.
fn named(place: Place) -> Result<Place, Mistake> {
    if place.split().1.is_empty() {
        return Err(Mistake { field: "path", what: "it ends with a name".to_owned() });
    }
    Ok(place)
}

fn each_pair(
    tree: &mut Tree,
    from: &Place,
    to: &Place,
    mut change: impl FnMut(&mut Tree, &[Step], &[Step]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let ((base, from), (_, to)) = (from.split(), to.split());
    visit(tree, base, &mut |tree| change(tree, from, to))
}

/// What leads to the last step, and that.
fn parent(place: &Place) -> (&[Step], &str) {
    match place.steps().split_last() {
        Some((last, parent)) => (parent, last.key().unwrap_or_default()),
        None => (&[], ""),
    }
}

fn find<'a>(tree: &'a mut Tree, steps: &[Step]) -> Option<&'a mut Tree> {
    steps.iter().try_fold(tree, |tree, step| tree.child(step.key()?))
}

fn take(tree: &mut Tree, steps: &[Step]) -> Option<Tree> {
    let (last, parent) = steps.split_last()?;
    remove(find(tree, parent)?, last.key()?)
}

fn remove(tree: &mut Tree, key: &str) -> Option<Tree> {
    match tree {
        Tree::Object(fields) => {
            let index = fields.iter().position(|(name, _)| **name == *key)?;
            Some(fields.remove(index).1)
        }
        Tree::Array(items) => {
            let index = index(key).filter(|index| *index < items.len())?;
            Some(items.remove(index))
        }
        Tree::Scalar(_) => None,
    }
}

/// The field keeps its place among the others; one that had the name goes.
fn rename(tree: &mut Tree, from: &str, to: &str) {
    let Tree::Object(fields) = tree else { return };
    if from == to || !fields.iter().any(|(name, _)| **name == *from) {
        return;
    }
    fields.retain(|(name, _)| **name != *to);
    if let Some((name, _)) = fields.iter_mut().find(|(name, _)| **name == *from) {
        *name = to.into();
    }
}

/// Puts a value where the steps lead, making the objects on the way.
fn put(tree: &mut Tree, steps: &[Step], value: Tree, target: &Place) -> Result<(), Failure> {
    let Some((first, rest)) = steps.split_first() else {
        *tree = value;
        return Ok(());
    };
    let key = first.key().unwrap_or_default();
    let blocked = |what| Failure::At { place: target.to_string(), what };
    match tree {
        Tree::Scalar(_) => return Err(blocked("something on the way is neither object nor array")),
        Tree::Array(_) => {}
        Tree::Object(fields) => {
            if !fields.iter().any(|(name, _)| **name == *key) {
                fields.push((key.into(), Tree::Object(Vec::new())));
            }
        }
    }
    let child =
        tree.child(key).ok_or_else(|| blocked("an array on the way has no such element"))?;
    put(child, rest, value, target)
}

/// Takes from what a payload may still grow by.
fn spend(room: &mut usize, value: &Tree) -> Result<(), Failure> {
    *room = room.checked_sub(value.size()).ok_or(Failure::Size)?;
    Ok(())
}
