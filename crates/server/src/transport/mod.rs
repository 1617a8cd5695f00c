//! How editors are connected.

mod close;
mod path;
mod pause;
mod quota;
mod rate;
mod socket;
mod upgrade;
mod ws;

pub(crate) use path::document;
pub(crate) use quota::Bounds;
pub(crate) use rate::Rates;
pub(crate) use upgrade::{Settings, Upgrades, asks_for_websocket};
