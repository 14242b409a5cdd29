//! Counting: what each part says of itself becomes one table and one closing line.

/// How many checks of one part passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    /// A part that could not run at all is one failure.
    pub(crate) const BROKEN: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// Trusts the exit status more than the counts: a program that failed without naming a failed
    /// check (a build error, a crash), or that passed without running one, counts as one failure.
    pub(crate) fn judged(self, success: bool) -> Self {
        let unexplained = !success && self.failed == 0;
        let empty = success && self.passed == 0 && self.failed == 0;
        if unexplained || empty { Self { failed: 1, ..self } } else { self }
    }
}

/// Reads nextest's closing line, `Summary [0.1s] 3 tests run: 2 passed (1 slow), 1 failed, …`.
pub(crate) fn nextest(output: &str) -> Count {
    let Some(line) = output.lines().rev().find(|line| line.contains("Summary [")) else {
        return Count::default();
    };
    let mut count = Count::default();
    let tally = line.split_once("run: ").map_or("", |(_, tally)| tally);
    for part in tally.split(',') {
        let part = part.trim();
        let (number, word) = part.split_once(' ').unwrap_or((part, ""));
        let Ok(number) = number.parse::<u64>() else { continue };
        if word.starts_with("passed") {
            count.passed += number;
        } else if word.starts_with("skipped") {
            count.skipped += number;
        } else {
            count.failed += number;
        }
    }
    count
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …` of `cargo test`.
pub(crate) fn cargo_test(output: &str) -> Count {
    let mut count = Count::default();
    for line in output.lines().filter(|line| line.starts_with("test result:")) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => count.passed += number,
                Some("failed") => count.failed += number,
                Some("ignored") => count.skipped += number,
                _ => {}
            }
        }
    }
    count
}

/// Reads the closing line of a suite under `tests/sdk`: `N passed, N failed`.
pub(crate) fn suite(output: &str) -> Count {
    let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    let mut count = Count::default();
    for part in last.split(", ") {
        match part.split_once(' ') {
            Some((number, "passed")) => count.passed = number.parse().unwrap_or(0),
            Some((number, "failed")) => count.failed = number.parse().unwrap_or(0),
            _ => return Count::default(),
        }
    }
    count
}

/// Prints a line for each part and the total, alone, as the last line. An error when one failed.
pub(crate) fn conclude(parts: &[(String, Count)]) -> Result<(), String> {
    println!("\n---");
    let mut total = Count::default();
    for (name, count) in parts {
        let verdict = if count.failed == 0 { "ok    " } else { "FAILED" };
        let Count { passed, failed, skipped } = *count;
        println!("{verdict} {name:<20} {passed:>5} passed {failed:>3} failed {skipped:>3} skipped");
        total.passed += passed;
        total.failed += failed;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    // The table has said it; a second message would no longer leave the total as the last line.
    if total.failed == 0 { Ok(()) } else { Err(String::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: u64, failed: u64, skipped: u64) -> Count {
        Count { passed, failed, skipped }
    }

    #[test]
    fn reads_nextest() {
        let check = |line, expect| assert_eq!(nextest(line), expect, "{line}");
        check("     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped", count(3, 0, 0));
        check("     Summary [   1.2s] 1 test run: 0 passed, 1 failed, 2 skipped", count(0, 1, 2));
        check(
            "  Summary [ 1s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 0 skipped",
            count(3, 2, 0),
        );
        check("  Summary [ 1s] 2/9 tests run: 1 passed, 1 exec failed, 7 skipped", count(1, 1, 7));
        check("error: could not compile", count(0, 0, 0));
    }

    #[test]
    fn adds_up_cargo_test() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\n";
        assert_eq!(cargo_test(output), count(4, 2, 1));
    }

    #[test]
    fn reads_a_suite() {
        let check = |text, expect| assert_eq!(suite(text), expect, "{text}");
        check("ok a\n12 passed, 1 failed\n", count(12, 1, 0));
        check("12 passed, 0 failed\n\n", count(12, 0, 0));
        check("Traceback (most recent call last)\n", count(0, 0, 0));
    }

    #[test]
    fn the_exit_status_decides() {
        assert_eq!(count(3, 0, 0).judged(true), count(3, 0, 0));
        assert_eq!(count(3, 0, 0).judged(false), count(3, 1, 0));
        assert_eq!(count(3, 2, 0).judged(false), count(3, 2, 0));
        assert_eq!(count(0, 0, 4).judged(true), count(0, 1, 4));
    }
}
