//! The documents of this process: found or loaded by the directory, each driven by one task.
//!
//! ```text
//!               open            join             deliver, drained
//! connection --> Directory --> DocHandle --> Seat ------------------> mailbox --> Task (Room, Desk)
//!      ^                                                                            |      |    ^
//!      |   next                                                                     |      v    | durable
//!      +------------------------------------------------------------------------- Outbox  Writer
//! ```
//!
//! A task owns its document; everybody else sends it commands through a mailbox that is bounded in bytes. What goes
//! to a session waits in its outbox, which is bounded in bytes too and never makes the document wait.

mod batch;
mod config;
mod counters;
mod directory;
mod error;
mod fanout;
mod handle;
mod ledger;
mod lifecycle;
mod mailbox;
mod memory;
mod queue;
mod readiness;
mod size;
mod task;

pub use config::DirectoryConfig;
pub use counters::Counters;
pub use directory::{Directory, Drained, Unsaved};
pub use error::{ChangeError, CloseReason, JoinError, OpenError, SeatClosed};
pub(crate) use handle::Undelivered;
pub use handle::{DocHandle, Seat};
pub(crate) use mailbox::{Changes, Command, Mailbox, TailRead, message_bytes};

pub use crate::outbox::Outgoing;
pub use crate::store::{CompactionPolicy, StoreFaults, StoreStatus};

#[cfg(test)]
mod tests;
