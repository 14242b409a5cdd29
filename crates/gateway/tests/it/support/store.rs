//! The store that a test's server stands on: SQLite, or PostgreSQL where `RINGBACK_TEST_STORE` says
//! so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ringback_pg_cluster::Database;

/// Where a server keeps what it is given.
#[derive(Clone)]
pub(crate) enum Store {
    /// In its data directory.
    Sqlite,
    /// In a database, which goes with the last who holds it.
    Postgres(Arc<Database>),
}

impl Store {
    /// A fresh one, of the kind that this run of the tests is for: `RINGBACK_TEST_STORE` is
    /// `postgres`, or else it is SQLite.
    pub(crate) fn fresh() -> Store {
        match std::env::var("RINGBACK_TEST_STORE").as_deref() {
            Ok("postgres") => Store::Postgres(Arc::new(Database::create().unwrap())),
            Ok("sqlite" | "") | Err(_) => Store::Sqlite,
            Ok(other) => panic!("RINGBACK_TEST_STORE is neither sqlite nor postgres: {other}"),
        }
    }

    /// What the setting `store.url` has to be.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Store::Sqlite => None,
            Store::Postgres(database) => Some(database.dsn()),
        }
    }

    /// The same as a variable.
    pub(crate) fn env(&self) -> Option<(&'static str, String)> {
        self.url().map(|url| ("RINGBACK_STORE", url))
    }

    /// The password in its URL, if it has one.
    pub(crate) fn password(&self) -> Option<String> {
        let url = self.url()?;
        let (_, password) = url.split_once("://")?.1.split_once('@')?.0.split_once(':')?;
        Some(password.to_owned())
    }
}

/// Everything that a server keeps, for those who search it.
pub(crate) struct Kept(Vec<(String, Vec<u8>)>);

impl Kept {
    /// What is in the data directory now and, if there is one, in the database.
    pub(crate) fn by(store: &Store, data: &Path) -> Kept {
        let read = |path: PathBuf| {
            // A control socket cannot be read.
            let content = std::fs::read(&path).ok()?;
            Some((path.display().to_string(), content))
        };
        let mut kept: Vec<_> = files(data).into_iter().filter_map(read).collect();
        if let Store::Postgres(database) = store {
            kept.push(("the database".to_owned(), database.dump().unwrap().into_bytes()));
        }
        Kept(kept)
    }

    /// The file that holds this text, if there is one.
    pub(crate) fn place_of(&self, text: &str) -> Option<&str> {
        // A dump shows bytes as hexadecimal digits.
        let digits = data_encoding::HEXLOWER.encode(text.as_bytes());
        let spellings = [text.as_bytes(), digits.as_bytes()];
        let holds = |content: &[u8]| spellings.iter().any(|text| contains(content, text));
        self.0.iter().find(|(_, content)| holds(content)).map(|(place, _)| place.as_str())
    }
}

fn contains(content: &[u8], text: &[u8]) -> bool {
    content.windows(text.len()).any(|part| part == text)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
