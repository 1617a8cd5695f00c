//! How editors are connected.

mod close;
mod hocuspocus;
mod life;
mod path;
mod pause;
mod socket;
mod upgrade;
mod ws;

pub(crate) use path::document;
pub(crate) use upgrade::{Settings, Upgrades, asks_for_websocket};
