//! Commands that come while there is no room.

use super::{Command, Desk};
use crate::doc::error::{ChangeError, JoinError};

impl Desk {
    /// Without a room: keeps what can be answered by the next one. Sessions are gone, and what they sent with them.
    pub(crate) fn defer(&mut self, command: Command) {
        match command {
            Command::Durable(durable) => self.ledger.settle(durable),
            Command::Outdated(epoch) => self.ledger.outdated(epoch),
            command @ (Command::Join { .. }
            | Command::Apply { .. }
            | Command::Snapshot { .. }
            | Command::Changes { .. }
            | Command::Delete { .. }) => {
                self.aside.push_back(command);
            }
            Command::Deliver { .. }
            | Command::Written { .. }
            | Command::Rights { .. }
            | Command::Leave { .. }
            | Command::Broadcast { .. }
            | Command::Unstored
            | Command::Made
            // The next room is made of what is stored, and asks who is present.
            | Command::Heard { .. }
            | Command::Missed
            | Command::Head(_)
            | Command::Read(_) => {}
        }
    }

    /// Without a room, and with none to come.
    pub(crate) fn turn_away(&mut self, command: Command, reason: JoinError) {
        match command {
            Command::Durable(durable) => self.ledger.settle(durable),
            Command::Outdated(epoch) => self.ledger.outdated(epoch),
            // Who asked may have gone.
            Command::Join { reply, .. } => drop(reply.send(Err(reason))),
            Command::Apply { reply, .. } => drop(reply.send(Err(reason))),
            Command::Delete { reply } => drop(reply.send(Err(match reason {
                JoinError::Deleted => ChangeError::Deleted,
                JoinError::Draining => ChangeError::Draining,
                JoinError::Rebuilding | JoinError::Quarantined | JoinError::DeadEpoch | JoinError::Full => {
                    ChangeError::Internal
                }
            }))),
            // Without a reply to `Snapshot` the directory reads the store; the others wait for none.
            Command::Snapshot { .. }
            | Command::Changes { .. }
            | Command::Deliver { .. }
            | Command::Broadcast { .. }
            | Command::Unstored
            | Command::Made
            | Command::Written { .. }
            | Command::Rights { .. }
            | Command::Leave { .. }
            | Command::Heard { .. }
            | Command::Missed
            | Command::Head(_)
            | Command::Read(_) => {}
        }
    }
}
