//! What only a store in the data directory has: a disk of its own. These run on SQLite, whatever the
//! other tests of a run are on.

mod faults;
