//! What was probably meant by a name that nothing has.

/// At most so many are proposed.
const MOST: usize = 5;

/// The end of a message about a name that nothing has: what was probably meant, or where all names
/// are.
pub(super) fn hint<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
    listing: &str,
) -> String {
    let mut near: Vec<(usize, &str)> =
        known.into_iter().filter_map(|known| Some((distance(typed, known)?, known))).collect();
    near.sort_unstable();
    // Nothing but capitals and hyphens differ: it is that one.
    let most = if near.first().is_some_and(|(distance, _)| *distance == 0) { 1 } else { MOST };
    near.truncate(most);
    match near.as_slice() {
        [] => format!("`{listing}` lists them"),
        near => {
            let names: Vec<_> = near.iter().map(|(_, name)| *name).collect();
            format!("did you mean {}?", names.join(", "))
        }
    }
}

/// How far the one is from the other, if they resemble each other: one begins with the other, or
/// few letters differ. Capitals and what joins words aside.
fn distance(typed: &str, known: &str) -> Option<usize> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    let (typed, known) = (plain(typed), plain(known));
    let letters = typed.chars().count();
    if letters < 3 {
        return None;
    }
    let edits = edits(&typed, &known);
    let begins = known.starts_with(&typed) || typed.starts_with(&known);
    // One slip of the finger for every three letters.
    (begins || edits <= letters / 3).then_some(edits)
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut least = replaced.min(last[column + 1] + 1).min(this[column] + 1);
            let swapped =
                row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1];
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            this.push(least);
        }
        before = std::mem::replace(&mut last, this);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (from, to, expect) in [
            ("stripe", "stripe", 0),
            ("strpie", "stripe", 1),
            ("gihtub", "github", 1),
            ("stripee", "stripe", 1),
            ("slakc", "slack", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), expect, "{from} {to}");
            assert_eq!(edits(to, from), expect, "{to} {from}");
        }
    }

    #[test]
    fn what_resembles_is_proposed() {
        fn check(typed: &str, expect: &str) {
            let known = ["github", "gitlab", "hubspot-v1", "hubspot-v3", "line", "stripe"];
            assert_eq!(hint(typed, known, "ringback providers"), expect, "{typed}");
        }
        check("gihtub", "did you mean github?");
        check("git-hub", "did you mean github?");
        check("Git", "did you mean github, gitlab?");
        check("hubspot", "did you mean hubspot-v1, hubspot-v3?");
        check("strip", "did you mean stripe?");
        check("pigeon", "`ringback providers` lists them");
        check("xx", "`ringback providers` lists them");
    }
}
