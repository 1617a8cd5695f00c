//! Quire's server: documents, transports and HTTP around the sync protocol.
//!
//! [`server::run`] is the whole of it. The binary `quire` adds a command line; an embedder calls `run` itself:
//!
//! ```no_run
//! use quire_server::config::{Config, Raw};
//! use quire_server::server::{self, Shutdown};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::resolve(&Raw::of([("listen", "127.0.0.1:0"), ("store", "memory")]))?;
//! server::run(config.with_worker("/usr/bin/quire"), Shutdown::on_signals()?).await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod assets;
mod auth;
pub mod cli;
mod cluster;
pub mod config;
pub mod doc;
mod fetch;
mod heavy;
mod http;
mod metrics;
mod notify;
pub mod outbox;
mod presence;
mod seldom;
pub mod server;
mod shards;
mod shutdown;
pub mod store;
mod stream;
mod tasks;
mod telemetry;
mod transport;
mod watch;
