//! Listeners: places in what arrived, and reading on from them.

use super::Postgres;
use crate::Listeners;

impl Listeners for Postgres {}
