//! Programs of users: contained, whatever they do.

mod sandbox;
