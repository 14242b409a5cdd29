//! An operator's own providers: a directory that is read, and read again when a file changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use ringback_builtin::Described;

/// Files of one directory.
const MAX_FILES: usize = 1_000;
/// Bytes of one file; the largest built-in one has a few thousand.
const MAX_BYTES: u64 = 256 * 1024;

/// The files in force, by the ids of their providers.
pub(super) type Files<T> = BTreeMap<String, Arc<File<T>>>;

/// A directory and what was good of it.
#[derive(Debug)]
pub(super) struct Directory<T> {
    path: PathBuf,
    files: RwLock<Arc<Files<T>>>,
    seen: Mutex<Seen>,
}

/// A file that was read and is in force.
#[derive(Debug)]
pub(super) struct File<T> {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) provider: Arc<T>,
}

/// What the last look saw.
#[derive(Debug, Default)]
struct Seen {
    stamps: BTreeMap<PathBuf, Stamp>,
    /// Files in force that were not there: an editor may be about to put another in the place.
    missing: BTreeSet<PathBuf>,
    /// The directory itself could not be read, which is told once.
    unreadable: bool,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// A file that was put in the place of another is another.
    inode: u64,
}

/// Something wrong with a file or with the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: PathBuf,
    /// The line, from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        self.line.iter().try_for_each(|line| write!(f, "{line}:"))?;
        write!(f, " {}", self.what)
    }
}

/// An operator's directory that cannot be used as it is.
#[derive(Debug)]
pub struct Error {
    /// Never empty, in the order of the files.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(f, "wrong provider file: {only}");
        }
        write!(f, "{} mistakes in provider files:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl<T: Described> Directory<T> {
    /// Reads all of it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (path, files) = (path.to_owned(), RwLock::default());
        let directory = Self { path, files, seen: Mutex::default() };
        let changes = directory.changes();
        if changes.problems.is_empty() {
            Ok(directory)
        } else {
            Err(Error { problems: changes.problems })
        }
    }

    /// What is in force.
    pub(super) fn files(&self) -> Arc<Files<T>> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what changed, and logs it.
    pub(super) fn look(&self) {
        let Changes { read, gone, problems } = self.changes();
        for id in read {
            tracing::info!(provider = %id, "a provider's file was read");
        }
        for id in gone {
            tracing::info!(provider = %id, "a provider's file is gone and no longer in force");
        }
        let files = self.files();
        for problem in problems {
            let has_good = files.values().any(|file| file.path == problem.path);
            let follows = if has_good { "its last good version stays in force" } else { "ignored" };
            tracing::warn!("wrong provider file, {follows}: {problem}");
        }
    }

    /// Reads what changed since the last time; what is good is in force afterwards.
    fn changes(&self) -> Changes {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Changes::default();
        let stamps = match stamps(&self.path) {
            Ok(stamps) => stamps,
            Err(problem) => {
                if !std::mem::replace(&mut seen.unreadable, true) {
                    changes.problems.push(problem);
                }
                return changes;
            }
        };
        seen.unreadable = false;
        let before = self.files();
        let mut files = (*before).clone();
        let missing = |file: &File<T>| !stamps.contains_key(&file.path);
        for (id, file) in before.iter().filter(|(_, file)| missing(file)) {
            // Missing twice is gone; once may be the moment between two steps of an editor.
            if !seen.missing.insert(file.path.clone()) {
                files.remove(id);
                changes.gone.push(id.clone());
            }
        }
        seen.missing.retain(|path| !stamps.contains_key(path));
        for (path, stamp) in &stamps {
            if seen.stamps.get(path) == Some(stamp) {
                continue;
            }
            match File::<T>::read(path, *stamp) {
                Ok(file) => {
                    changes.read.push(file.provider.id().to_owned());
                    files.insert(file.provider.id().to_owned(), Arc::new(file));
                }
                Err(problems) => changes.problems.extend(problems),
            }
        }
        seen.stamps = stamps;
        if !(changes.read.is_empty() && changes.gone.is_empty()) {
            *self.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
        }
        changes
    }
}

/// What a look found.
#[derive(Debug, Default)]
struct Changes {
    /// Providers whose files are new or others.
    read: Vec<String>,
    /// Providers whose files are no longer there.
    gone: Vec<String>,
    problems: Vec<Problem>,
}

/// Every provider's file of the directory.
fn stamps(directory: &Path) -> Result<BTreeMap<PathBuf, Stamp>, Problem> {
    let problem = |what: String| Problem { path: directory.to_owned(), line: None, what };
    let unreadable = |error: io::Error| problem(format!("cannot be read: {error}"));
    let mut stamps = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        // Of a link, what it leads to. Whoever is gone by now is seen as gone the next time.
        let Ok(found) = fs::metadata(&path) else { continue };
        let (modified, bytes, inode) = (found.modified().ok(), found.len(), found.ino());
        stamps.insert(path, Stamp { modified, bytes, inode });
        if stamps.len() > MAX_FILES {
            return Err(problem(format!("holds more than {MAX_FILES} files")));
        }
    }
    Ok(stamps)
}

impl<T: Described> File<T> {
    fn read(path: &Path, stamp: Stamp) -> Result<Self, Vec<Problem>> {
        let problem =
            |line: Option<usize>, what: String| Problem { path: path.to_owned(), line, what };
        if stamp.bytes > MAX_BYTES {
            return Err(vec![problem(None, format!("has more than {MAX_BYTES} bytes"))]);
        }
        let text = fs::read_to_string(path)
            .map_err(|error| vec![problem(None, format!("cannot be read: {error}"))])?;
        let provider = T::read(&text).map_err(|mistakes| {
            let told = |mistake: ringback_domain::provider::Mistake| {
                problem(Some(mistake.line), mistake.message)
            };
            mistakes.into_iter().map(told).collect::<Vec<_>>()
        })?;
        if path.file_stem().is_none_or(|stem| stem != provider.id()) {
            let line = text.lines().position(|line| line.trim_start().starts_with("id"));
            let what =
                format!("`id` is `{0}`, so the file has to be called {0}.toml", provider.id());
            return Err(vec![problem(line.map(|index| index + 1), what)]);
        }
        Ok(Self { path: path.to_owned(), text, provider: Arc::new(provider) })
    }
}
