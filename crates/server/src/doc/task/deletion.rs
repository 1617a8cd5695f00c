//! The deletion of a document that is in memory.
//!
//! The document stays in the directory, and its task takes no commands, until it is gone from the store: nobody can load it
//! half deleted, and nothing of it is appended after its deletion. Its editors are told when it is gone, not before, since a
//! deletion can fail.

use std::time::Duration;

use quire_sync_protocol::Room;
use tokio::time::sleep_until;

use super::{Batch, Command, Event, Task, going_down, now};
use crate::doc::error::ChangeError;

/// How long a deletion waits for edits that are on their way into the store.
const SETTLING: Duration = Duration::from_secs(10);

impl Task {
    /// Deletes the document. After an error it goes on as before.
    pub(super) async fn delete(&mut self, room: &mut Room) -> Result<(), ChangeError> {
        self.settle_for_deletion(room).await?;
        let doc = self.place.doc.clone();
        self.place.shared.upkeep.delete(doc.clone()).await?;
        tracing::info!(%doc, "deleted");
        self.desk.tell_deleted();
        self.advance(Event::Deleted);
        Ok(())
    }

    /// Waits until everything is durable. What else comes in meanwhile waits.
    async fn settle_for_deletion(&mut self, room: &mut Room) -> Result<(), ChangeError> {
        let until = now() + SETTLING;
        while !self.desk.is_settled() {
            let command = tokio::select! {
                biased;
                () = going_down(self.draining.clone()) => return Err(ChangeError::Draining),
                command = self.commands.recv() => command,
                () = sleep_until(until.into()) => {
                    return Err(ChangeError::Unavailable("the document's last edits are not stored".to_owned()));
                }
            };
            match command {
                command @ (Command::Durable(_) | Command::Unstored | Command::Outdated(_)) => {
                    if self.run_batch(room, Batch::of(command)).is_err() {
                        self.advance(Event::Panicked);
                        return Err(ChangeError::Internal);
                    }
                }
                command => self.desk.put_aside(command),
            }
        }
        Ok(())
    }
}
