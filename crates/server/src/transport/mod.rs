//! How editors are connected.

mod bypass;
mod close;
mod framed;
mod hocuspocus;
mod http_session;
mod life;
mod mail;
mod path;
mod pause;
mod quota;
mod rate;
mod read_ahead;
mod socket;
mod upgrade;
mod ward;
mod ws;

pub(crate) use close::Close;
pub(crate) use http_session::{Sessions, is_for_sessions, loggable};
pub(crate) use path::document;
pub(crate) use quota::{Bounds, Comes};
pub(crate) use rate::Rates;
pub(crate) use upgrade::{Audience, Place, Settings, Upgrades, asks_for_websocket};
