//! Running text for people.

/// Characters of a line.
const WIDTH: usize = 88;

/// So many bytes, in the largest unit that is exact.
pub(super) fn bytes(number: usize) -> String {
    const MIB: usize = 1024 * 1024;
    match number {
        whole if whole % MIB == 0 => format!("{} MiB", whole / MIB),
        whole if whole % 1024 == 0 => format!("{} KiB", whole / 1024),
        other => format!("{other} bytes"),
    }
}

/// Running text in lines; those after the first are indented by so many spaces.
pub(super) fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{:indent$}{word}", "")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
