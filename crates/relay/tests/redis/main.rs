//! Relays over real Redis servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod cluster;
mod faults;
mod plain;
mod rights;
mod support;
