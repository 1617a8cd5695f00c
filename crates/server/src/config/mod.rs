//! Configuration: as given ([`Raw`]) and as it holds ([`Config`]).
//!
//! A setting has a flag, an environment variable and a key in a TOML file; the first of these that names it counts.
//! [`SETTINGS`] is the one table of them. All faults of a configuration are found together, each with its place.

mod access;
mod fault;
mod file;
mod injection;
mod print;
mod raw;
mod resolved;
mod setting;
mod value;

pub(crate) use access::{Access, Refuse, Secret};
pub use fault::{Fault, Faults, Place};
pub use print::print;
pub use raw::{Given, Raw};
pub use resolved::{Config, LogFormat};
pub use setting::{Kind, SETTINGS, Setting};
pub(crate) use value::any_duration as duration;
