//! A pool of real worker processes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{ffi::OsString, time::Duration};

use quire_view::{Pool, PoolConfig};

/// A pool with time enough for a loaded machine, changed as the test needs it.
pub(crate) fn pool(change: impl FnOnce(&mut PoolConfig)) -> Pool {
    let mut config = PoolConfig::new(env!("CARGO_BIN_EXE_quire-view-worker"), [] as [OsString; 0]);
    config.timeout = Duration::from_mins(1);
    config.queue_wait = Duration::from_mins(1);
    change(&mut config);
    Pool::new(config)
}

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// An update of client 1 that sets key `k` of root `m` to the encoded value.
pub(crate) fn map_with(value: &[u8]) -> Vec<u8> {
    let mut update = hex("010101002801016d016b01");
    update.extend_from_slice(value);
    update.push(0);
    update
}
