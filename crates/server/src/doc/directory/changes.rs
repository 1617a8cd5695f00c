//! Making and deleting documents.

use quire_persistence::Created;
use quire_relay::Message;
use quire_sync_protocol::DocId;

use super::hold::Hold;
use super::{ChangeError, Directory, OpenError};

impl Directory {
    /// Makes an empty document if there is none of this name; one that was deleted, anew. Durable when this returns.
    pub async fn create(&self, doc: &DocId) -> Result<Created, ChangeError> {
        if self.shared.lock().draining {
            return Err(ChangeError::Draining);
        }
        let created = self.shared.upkeep.create(doc.clone()).await?;
        // Whoever is in a document that nobody has written in is in this one from now on.
        if let Ok(Some((handle, _))) = self.shared.find(doc) {
            handle.note_made();
        }
        Ok(created)
    }

    /// Deletes a document, be it damaged or quarantined. When this returns it is gone from the store, and its editors are told
    /// ([`CloseReason::Deleted`](crate::doc::CloseReason::Deleted)). If cancelled, it may or may not be deleted.
    pub async fn delete(&self, doc: &DocId) -> Result<(), ChangeError> {
        match self.find_or_wait(doc).await {
            Ok((handle, first_load)) => match first_load.ended().await {
                Ok(()) => return handle.delete().await,
                Err(OpenError::Damaged(_)) => {}
                Err(error) => return Err(error.into()),
            },
            Err(OpenError::Quarantined) => {}
            Err(error) => return Err(error.into()),
        }
        let hold = Hold::take(&self.shared, doc).ok_or(ChangeError::Internal)?;
        // A task of its own, so that the hold lasts as long as the deletion.
        let deleting = tokio::spawn(async move {
            hold.shared.upkeep.delete(hold.doc.clone()).await?;
            tracing::info!(doc = %hold.doc, "deleted, although it could not be served");
            if let Some(cluster) = &hold.shared.cluster {
                cluster.publish(&hold.doc, &Message::Ended { epoch: u64::MAX });
            }
            hold.release();
            Ok(())
        });
        deleting.await.unwrap_or(Err(ChangeError::Internal))
    }
}
