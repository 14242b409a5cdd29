//! Paths to other values of the same part of a message: `order.items[0].sku`.

use serde_json::Value;

use super::pattern::Part;

/// A path from the root of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(Box<str>),
    Index(usize),
    /// The element that is being looked at, of the n-th array around it.
    Current(usize),
}

impl Reference {
    /// Reads a path: names divided by dots, `[0]` for an element, `[$index]` for the current one;
    /// a `$` in front stands for the root, as it does by itself.
    pub(super) fn parse(text: &str, part: Part) -> Option<Reference> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        let mut arrays = 0;
        // A name may begin the path, or follow a dot.
        let mut name_follows = !rest.starts_with(['.', '[']);
        while !rest.is_empty() {
            if let Some(bracket) = rest.strip_prefix('[').filter(|_| !name_follows) {
                let (inner, after) = bracket.split_once(']')?;
                steps.push(if inner == "$index" {
                    arrays += 1;
                    Step::Current(arrays - 1)
                } else {
                    Step::Index(inner.parse().ok()?)
                });
                rest = after;
                continue;
            }
            if !name_follows {
                rest = rest.strip_prefix('.')?;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return None;
            }
            let first_header = part == Part::Headers && steps.is_empty();
            let name = if first_header { name.to_ascii_lowercase() } else { name.to_owned() };
            steps.push(Step::Field(name.into()));
            rest = after;
            name_follows = false;
        }
        // An empty text is more likely a slip than the root.
        (!text.is_empty()).then_some(Reference(steps))
    }

    /// What is there. `indexes` are the elements being looked at, the outermost first.
    pub(super) fn resolve<'a>(&self, root: &'a Value, indexes: &[usize]) -> Option<&'a Value> {
        self.0.iter().try_fold(root, |value, step| match step {
            Step::Field(name) => value.as_object()?.get(&**name),
            Step::Index(index) => value.as_array()?.get(*index),
            Step::Current(array) => value.as_array()?.get(*indexes.get(*array)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        let root = json!({"a": {"b": [1, [2, 3]]}, "$index": 4, "": 5});
        for (path, expect) in [
            ("a.b[0]", Some(json!(1))),
            ("$.a.b[0]", Some(json!(1))),
            ("$a.b[1][0]", Some(json!(2))),
            ("a.b[$index][$index]", Some(json!(3))),
            ("$", Some(root.clone())),
            ("a.c", None),
            ("a.b.c", None),
            ("a.b[2]", None),
            ("a[0]", None),
            ("a.b[1][$index]", Some(json!(3))),
        ] {
            let reference = Reference::parse(path, Part::Body).expect(path);
            assert_eq!(reference.resolve(&root, &[1, 1]), expect.as_ref(), "{path}");
        }
    }

    #[test]
    fn no_paths() {
        for text in ["", ".", "a.", "a..b", "a[", "a[]", "a[-1]", "a[x]", "a[0]b", "a.[0]", "$."] {
            assert_eq!(Reference::parse(text, Part::Body), None, "{text}");
        }
    }
}
