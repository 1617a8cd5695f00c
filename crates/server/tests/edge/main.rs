//! The server as its clients and operators see it: over sockets, and as a process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on is to panic, in its helpers as well"
)]

mod access;
mod admin;
mod application;
mod bounds;
mod client;
mod command;
mod connections;
mod documents;
mod doors;
mod frames;
mod handshake;
mod hocuspocus;
mod hocuspocus_access;
mod http;
mod keys;
mod limits;
mod logs;
mod names;
mod operations;
mod process;
mod rights;
mod secrets;
mod server;
mod shutdown;
mod token;
