//! Listeners: places in what arrived, and reading on from them.

use super::Sqlite;
use crate::Listeners;

impl Listeners for Sqlite {}
