//! One file, and the views on it that rules look at.

/// A file of the repository: its path from the root, with `/`, and its text.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    /// All lines, numbered from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of code: comments cut off, and tests (files of them, and the module at the end of
    /// a Rust file) left out.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.tests_begin();
        self.lines()
            .take_while(move |(number, _)| *number < end)
            .map(|(n, line)| (n, uncommented(line)))
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the path lies under one of `folders` (each ending with `/`) or is one of them.
    pub(super) fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The line from which on everything is tests.
    fn tests_begin(&self) -> usize {
        if self.is_test() {
            return 0;
        }
        let mut attribute = None;
        for (number, line) in self.lines() {
            match attribute {
                Some(at) if line.trim_start().starts_with("mod ") => return at,
                _ => attribute = (line.trim() == "#[cfg(test)]").then_some(number),
            }
        }
        usize::MAX
    }
}

/// The line up to its `//` comment. The `//` of a URL inside a string is none: it follows a colon.
fn uncommented(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line.get(..*at).is_some_and(|before| before.ends_with(':')));
    comment.map_or(line, |(at, _)| line.get(..at).unwrap_or(line))
}

/// Whether `word` stands in `line` and is not the end of a longer identifier.
pub(super) fn contains(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let begins_word = word.starts_with(joins);
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !(begins_word && before.is_some_and(joins))
    })
}
