//! The server as its clients and operators see it: over sockets, and as a process.

mod client;
mod command;
mod connections;
mod frames;
mod handshake;
mod http;
mod limits;
mod names;
mod process;
mod server;
mod shutdown;
