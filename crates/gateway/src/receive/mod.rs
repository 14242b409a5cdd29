//! Receiving webhooks: who the providers are.

pub mod catalog;
