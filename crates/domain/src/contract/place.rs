//! Places in a payload: a JSON Pointer (RFC 6901), in which `[*]` stands for each element of an
//! array: `/lines/[*]/price`.

use std::{fmt, sync::Arc};

use super::tree::Tree;

/// How many steps a place may have.
const STEPS: usize = 32;

/// Where an operation works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A name, or an index.
    Key(Arc<str>),
    /// Each element of an array.
    Each,
}

/// Why a text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error("a JSON Pointer is empty or begins with '/'")]
    Start,
    #[error("in a JSON Pointer '~' is followed by 0 or 1")]
    Tilde,
    #[error("it has more than {STEPS} steps")]
    Long,
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Place, Mistake> {
        if text.is_empty() {
            return Ok(Place(Vec::new()));
        }
        let rest = text.strip_prefix('/').ok_or(Mistake::Start)?;
        let steps = rest.split('/').map(Step::parse).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > STEPS {
            return Err(Mistake::Long);
        }
        Ok(Place(steps))
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The part up to the last `[*]`, and the names after it.
    pub(super) fn split(&self) -> (&[Step], &[Step]) {
        let each = self.0.iter().rposition(|step| *step == Step::Each);
        self.0.split_at(each.map_or(0, |index| index + 1))
    }
}

impl Step {
    fn parse(text: &str) -> Result<Step, Mistake> {
        if text == "[*]" {
            return Ok(Step::Each);
        }
        let mut name = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match (char, char == '~') {
                (_, false) => name.push(char),
                _ => name.push(match chars.next() {
                    Some('0') => '~',
                    Some('1') => '/',
                    _ => return Err(Mistake::Tilde),
                }),
            }
        }
        Ok(Step::Key(name.into()))
    }

    /// The name or index; none of `[*]`.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Step::Key(key) => Some(key),
            Step::Each => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Each => f.write_str("/[*]"),
        })
    }
}

/// Calls `change` with whatever stands at these steps; nothing stands there, nothing happens.
pub(super) fn visit<E>(
    tree: &mut Tree,
    steps: &[Step],
    change: &mut impl FnMut(&mut Tree) -> Result<(), E>,
) -> Result<(), E> {
    match steps.split_first() {
        None => change(tree),
        Some((Step::Key(key), rest)) => match tree.child(key) {
            Some(child) => visit(child, rest, change),
            None => Ok(()),
        },
        Some((Step::Each, rest)) => match tree {
            Tree::Array(items) => items.iter_mut().try_for_each(|it| visit(it, rest, change)),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for text in ["", "/", "/a/0", "/a~1b/~0", "/lines/[*]/price", "/a//b"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        let long = "/a".repeat(STEPS + 1);
        for (text, mistake) in [
            ("a", Mistake::Start),
            ("/~2", Mistake::Tilde),
            ("/a~", Mistake::Tilde),
            (&long, Mistake::Long),
        ] {
            assert_eq!(Place::parse(text), Err(mistake), "{text}");
        }
        let place = Place::parse("/a/[*]/b/[*]/c/d").unwrap();
        let (base, rest) = place.split();
        assert_eq!((base.len(), rest.len()), (4, 2));
    }
}
