//! A pool of real worker processes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{ffi::OsString, time::Duration};

use bytes::Bytes;
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

/// As many clients as that, each having set the same key before knowing of the others. Putting them in order takes
/// time with the square of their number.
pub(crate) fn everyone_sets_the_same_key(clients: u32) -> Bytes {
    let mut update = Vec::new();
    varint(clients, &mut update);
    for client in (1..=clients).rev() {
        update.push(1);
        varint(client, &mut update);
        update.extend(b"\x00\x28\x01\x01m\x01k\x01\x7d\x09");
    }
    update.push(0);
    Bytes::from(update)
}

/// Writes an unsigned integer as the format does: seven bits a byte, low ones first.
pub(crate) fn varint(mut value: u32, into: &mut Vec<u8>) {
    while value > 0x7f {
        into.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    into.push(u8::try_from(value).unwrap());
}
